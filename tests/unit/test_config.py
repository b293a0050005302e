from pathlib import Path

import pytest

from pbxtrack.config import Address, Settings, exposed_secrets, load
from pbxtrack.errors import ConfigError


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Each test is in a folder of its own, whose `pbxtrack.toml` it may write."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def settings(text: str = "", **environ: str) -> Settings:
    if text:
        Path("pbxtrack.toml").write_text(text, encoding="utf-8")
    return load(environ=environ)


def message(text: str = "", **environ: str) -> str:
    with pytest.raises(ConfigError) as error:
        settings(text, **environ)
    return str(error.value)


def test_defaults_work_without_a_file(tmp_path: Path) -> None:
    found = settings(STATE_DIRECTORY=str(tmp_path / "state"))
    assert found.file is None
    assert found.data_dir == tmp_path / "state"
    assert found.database.url == f"sqlite:///{tmp_path}/state/pbxtrack.db"
    assert str(found.api.listen) == "127.0.0.1:8080"
    assert str(found.agi.listen) == "127.0.0.1:4573"
    assert [(ami.node, ami.host, ami.port) for ami in found.ami] == [("pbx1", "127.0.0.1", 5038)]
    assert found.ami[0].secret.get_secret_value() == ""
    assert (found.mail.upstream, found.numbers.default_region, found.log.level) == (None, "RU", "info")


def test_the_data_directory_is_made_for_its_owner_alone(tmp_path: Path) -> None:
    folder = settings(PBXTRACK_DATA_DIR=str(tmp_path / "a" / "b")).make_data_dir()
    assert folder.stat().st_mode & 0o777 == 0o700


def test_the_environment_comes_before_credentials_and_these_before_the_file(tmp_path: Path) -> None:
    (tmp_path / "ami.secret").write_text("from a credential\n")
    (tmp_path / "PBXTRACK_AMI__USERNAME").write_text("user")
    (tmp_path / "something.else").write_text("not ours")
    text = '[[ami]]\nnode = "a"\nsecret = "file"\nhost = "pbx.example"\n[[ami]]\nnode = "b"\nport = 5039\n'
    found = settings(text, CREDENTIALS_DIRECTORY=str(tmp_path), PBXTRACK_AMI__USERNAME="env")
    assert [ami.secret.get_secret_value() for ami in found.ami] == ["from a credential"] * 2
    assert [(ami.username, ami.host, ami.port) for ami in found.ami] == [
        ("env", "pbx.example", 5038),
        ("env", "127.0.0.1", 5039),
    ]
    assert found.origin(("ami", 1, "username")).text == "PBXTRACK_AMI__USERNAME"
    assert found.origin(("ami", 0, "secret")).text == str(tmp_path / "ami.secret")
    assert found.origin(("ami", 1, "port")).text == "pbxtrack.toml:7"
    assert found.origin(("api", "listen")).kind == "default"


def test_an_empty_variable_is_as_good_as_none() -> None:
    assert settings(PBXTRACK_MAIL__UPSTREAM="", PBXTRACK_API__LISTEN="").mail.upstream is None


def test_a_list_is_written_with_commas_in_the_environment() -> None:
    found = settings(PBXTRACK_API__TRUSTED_PROXIES="127.0.0.1, 10.0.0.0/8")
    assert found.api.trusted_proxies == ["127.0.0.1", "10.0.0.0/8"]


def test_the_file_is_named_by_a_variable(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('[api]\nlisten = "[::1]:9"\n')
    found = settings('[api]\nlisten = "not read"\n', PBXTRACK_CONFIG=str(tmp_path / "other.toml"))
    assert found.api.listen == Address("::1", 9)
    assert str(found.api.listen) == "[::1]:9"
    assert message(PBXTRACK_CONFIG="/nowhere.toml") == "PBXTRACK_CONFIG: /nowhere.toml does not exist"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[api]\n\nlisen = "x"', "pbxtrack.toml:3: api.lisen: unknown setting; did you mean listen?"),
        ('[apy]\nlisten = "x"', "pbxtrack.toml:1: apy: unknown setting; did you mean api?"),
        ("xyzzy = 1", "pbxtrack.toml:1: xyzzy: unknown setting"),
        ("api = 1", "pbxtrack.toml:1: api: must be a section: [api]"),
        ('[ami]\nhost = "x"', "pbxtrack.toml:1: ami: must be written [[ami]], once for each Asterisk"),
        ("ami = []", "pbxtrack.toml:1: ami: needs one entry at least"),
        ("ami = [1]", "pbxtrack.toml:1: ami: must be a section: [ami]"),
        ('[[ami]]\n[[ami]]\nsekret = "x"', "pbxtrack.toml:3: ami.sekret: unknown setting; did you mean secret?"),
        ("[agi]\nmax_sessions = true", "pbxtrack.toml:2: agi.max_sessions: must not be true or false"),
        ('[agi]\nmax_sessions = "x"', "pbxtrack.toml:2: agi.max_sessions: must be a whole number, not 'x'"),
        ("[agi]\nmax_sessions = 1.5", "pbxtrack.toml:2: agi.max_sessions: must be a whole number, not '1.5'"),
        ("[agi]\ndeadline = 0", "pbxtrack.toml:2: agi.deadline: must be greater than 0, not '0'"),
        ("[agi]\ndeadline = nan", "pbxtrack.toml:2: agi.deadline: must be a number, not 'nan'"),
        ("[[ami]]\nport = 70000", "pbxtrack.toml:2: ami.port: must be less than or equal to 65535, not '70000'"),
        ("[[ami]]\nsecret = 5", "pbxtrack.toml:2: ami.secret: must be a text in quotes"),
        ("[[ami]]\n[[ami]]", "pbxtrack.toml:2: ami.node: two Asterisks are called 'pbx1'; give each its own node"),
        (
            '[[ami]]\nnode="x"\n[[ami]]\nnode = "x"',
            "pbxtrack.toml:4: ami.node: two Asterisks are called 'x'; give each its own node",
        ),
        (
            '[log]\nlevel = "loud"',
            "pbxtrack.toml:2: log.level: must be 'debug', 'info', 'warning' or 'error', not 'loud'",
        ),
        (
            '[numbers]\ndefault_region = "Russia"',
            "pbxtrack.toml:2: numbers.default_region: must be a country's ISO 3166 code, "
            "such as RU or US, not 'Russia'",
        ),
        (
            '[database]\nurl = "mysql://user:secret@host/x"',
            "pbxtrack.toml:2: database.url: must be sqlite:///PATH or postgresql://USER:PASSWORD@HOST/NAME",
        ),
        (
            '[api]\ntrusted_proxies = [\n"127.0.0.1",\n"proxy"]',
            "pbxtrack.toml:2: api.trusted_proxies: must be IP addresses or networks, "
            "such as 127.0.0.1 or 10.0.0.0/8, not 'proxy'",
        ),
        ("a = ", "pbxtrack.toml:1: is not valid TOML: invalid value"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_its_line(text: str, expected: str) -> None:
    assert message(text).startswith(expected)
    assert "\n" not in message(text)


@pytest.mark.parametrize("listen", ["8080", ":8080", "127.0.0.1", "::1:80", "[::1]", "h:99999", "http://h:80", "a b:1"])
def test_an_address_is_host_and_port(listen: str) -> None:
    expected = "must be HOST:PORT, such as 127.0.0.1:8080, [::1]:8080 or 0.0.0.0:8080"
    assert message(PBXTRACK_API__LISTEN=listen) == f"PBXTRACK_API__LISTEN: {expected}, not {listen!r}"


@pytest.mark.parametrize(
    ("variable", "expected"),
    [
        ("PBXTRACK_API__LISEN", "unknown setting; did you mean listen?"),
        ("PBXTRACK_APY__LISTEN", "unknown setting; did you mean api?"),
        ("PBXTRACK_API_LISTEN", "unknown setting"),
        ("PBXTRACK_API", "is a section; name a setting of it, such as PBXTRACK_API__LISTEN"),
        ("PBXTRACK_API__LISTEN__X", "unknown setting; did you mean listen?"),
        ("PBXTRACK_DATA_DIR__X", "unknown setting"),
        ("PBXTRACK_", "unknown setting"),
    ],
)
def test_a_variable_that_we_do_not_know_is_an_error(variable: str, expected: str) -> None:
    assert message(**{variable: "1"}).startswith(f"{variable}: {expected}")


def test_the_labs_and_the_tests_own_variables_are_no_settings() -> None:
    settings(PBXTRACK_LAB_ROOT="/x", PBXTRACK_TEST_SOMETHING="1")


def test_a_secret_is_in_no_message_and_no_representation() -> None:
    found = settings(PBXTRACK_AMI__SECRET="hush", PBXTRACK_DATABASE__URL="postgresql://u:hush@h/n")
    assert "hush" not in repr(found)
    assert "hush" not in message(PBXTRACK_DATABASE__URL="mysql://u:hush@h/n")


@pytest.mark.parametrize(
    ("text", "exposed"),
    [
        ('[[ami]]\nsecret = "x"', "ami.secret"),
        ('[database]\nurl = "postgresql://u:p@h/n"', "database.url"),
        ('[database]\nurl = "postgresql://u@h/n"', None),
        ('[api]\nlisten = "h:1"', None),
    ],
)
def test_a_secret_that_everybody_can_read_is_warned_of(text: str, exposed: str | None) -> None:
    found = settings(text)
    Path("pbxtrack.toml").chmod(0o644)
    warning = exposed_secrets(found)
    assert warning == (
        exposed
        and f"pbxtrack.toml holds {exposed}, and every user of this machine can read it: chmod o-r pbxtrack.toml"
    )
    Path("pbxtrack.toml").chmod(0o640)
    assert exposed_secrets(found) is None
