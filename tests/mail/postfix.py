"""A Postfix from Debian, several at once: each with a folder, a port and a Maildir of its own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.mail.peers import BOX, free_port, listens, until

_MAIN = """
compatibility_level = 3.6
queue_directory = {folder}/queue
data_directory = {folder}/data
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
mail_owner = postfix
myhostname = {name}
mydestination =
alias_maps =
local_recipient_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
message_size_limit = 60000000
virtual_mailbox_limit = 0
mailbox_size_limit = 0
smtputf8_enable = yes
maillog_file = {folder}/log
maillog_file_prefixes = {folder}
smtp_host_lookup = native
minimal_backoff_time = 1s
maximal_backoff_time = 2s
queue_run_delay = 1s
"""
_BOXES = """
virtual_mailbox_domains = shop.example
virtual_mailbox_base = {folder}/mail
virtual_mailbox_maps = inline:{{ {boxes} }}
virtual_uid_maps = static:{user}
virtual_gid_maps = static:{user}
virtual_minimum_uid = 1
"""
_MASTER = """
127.0.0.1:{port} inet n - n - - smtpd
postlog unix-dgram n - n - 1 postlogd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
verify unix - - n - 1 verify
proxymap unix - - n - - proxymap
smtp unix - - n - - smtp
relay unix - - n - - smtp
error unix - - n - - error
retry unix - - n - - error
virtual unix - n n - - virtual
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
"""


class Postfix:
    """``boxes`` are the addresses that it delivers itself, or would if its transports did not say otherwise."""

    def __init__(self, name: str, *, boxes: Sequence[str] = (BOX,)) -> None:
        # Not among pytest's folders, which are closed to others: its processes are other users'.
        self.folder = folder = Path(tempfile.mkdtemp(prefix="pbxtrack-postfix-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        user = pwd.getpwnam("nobody").pw_uid
        for part in ("etc", "queue", "data", "mail"):
            (folder / part).mkdir(parents=True)
        os.chown(folder / "mail", user, user)
        os.chown(folder / "data", pwd.getpwnam("postfix").pw_uid, -1)
        maps = ", ".join(f"{box}={box.partition('@')[0]}/" for box in boxes)
        own = _BOXES.format(folder=folder, boxes=f"{{ {maps.replace(', ', ' }, { ')} }}", user=user) if boxes else ""
        (folder / "etc/main.cf").write_text(_MAIN.format(folder=folder, name=name) + own)
        (folder / "etc/master.cf").write_text(_MASTER.format(port=self.port))

    def start(self) -> None:
        """Run it, and wait until it answers."""
        self._run("start")
        until(lambda: listens(self.port), "Postfix does not answer")

    def stop(self) -> None:
        """Stop it, and remove its folder."""
        self._run("stop")
        shutil.rmtree(self.folder, ignore_errors=True)

    def delivered(self, box: str = "sales") -> list[bytes]:
        """The messages in a mailbox, as they are there: lines end with LF."""
        return [path.read_bytes() for path in sorted((self.folder / "mail" / box / "new").glob("*"))]

    def log(self) -> str:
        """What it says."""
        return (self.folder / "log").read_text("utf-8", "replace")

    def _run(self, what: str) -> None:
        command = ["postfix", "-c", str(self.folder / "etc"), what]
        done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr + self.log()
