"""Pages that change, browsers that refuse, a server in trouble: the number is right, or the company's own."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.browser.pages import Tab, national
from tests.browser.website import COMPANY, EMAIL, KEY, Trouble, Website

OWN = "8 (495) 123-45-67"
PHONE = f'<header><b>Shop</b><a class="phone" href="tel:{COMPANY}">{OWN}</a></header>'
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src {api}; connect-src {api}"


def test_one_line_is_all_a_page_needs(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE))
    assert tab.text(".phone") == f"8 {national(number)}"
    assert tab.attribute(".phone", "href") == f"tel:{number}"
    [asked] = site.leases()
    assert asked.body["site"] == KEY
    assert asked.body["page"] == tab.page.url
    assert asked.answer["number"] == number


def test_content_that_arrives_late_is_never_seen_with_the_old_number(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE))
    seen = tab.page.evaluate(
        """(html) => new Promise((done) => {
            const late = document.createElement("section");
            late.innerHTML = html;
            document.body.append(late);
            requestAnimationFrame(() => done(late.textContent));
        })""",
        f"<p>Call {OWN}</p>",
    )
    assert seen == f"Call 8 {national(number)}"


def test_text_and_attributes_that_change_are_swapped_again(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE + "<p>…</p>"))
    tab.page.evaluate(
        f"""() => {{
            document.querySelector("p").firstChild.data = "Now call {OWN}";
            document.querySelector(".phone").href = "tel:{COMPANY}";
            document.querySelector(".phone").setAttribute("aria-label", "{OWN}");
        }}"""
    )
    tab.settled()
    assert tab.text("p") == f"Now call 8 {national(number)}"
    assert tab.attribute(".phone", "href") == f"tel:{number}"
    assert tab.attribute(".phone", "aria-label") == f"8 {national(number)}"


def test_a_number_that_is_put_together_piece_by_piece(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE + "<p><b>8 (495)</b> </p>"))
    tab.page.evaluate("() => document.querySelector('p').append('123-45-67')")
    tab.settled()
    assert tab.text("p") == f"8 {national(number)}"


def test_a_page_that_writes_its_own_number_back_does_not_hang(tab: Tab, site: Website) -> None:
    tab.page.goto(site.put(PHONE + "<p></p>"))
    tab.leased()
    writes = tab.page.evaluate(
        """(own) => new Promise((done) => {
            let writes = 0;
            const element = document.querySelector("p");
            new MutationObserver(() => {
                if (element.textContent != own) { writes++; element.textContent = own; }
            }).observe(element, { childList: true, characterData: true, subtree: true });
            element.textContent = own;
            setTimeout(() => done(writes), 300);
        })""",
        OWN,
    )
    assert 1 <= writes <= 120
    assert tab.text("p") == OWN


def test_a_page_that_writes_all_of_itself_back_does_not_hang(tab: Tab, site: Website) -> None:
    tab.visit(site.put(f"<p>{OWN}</p>"))
    writes = tab.page.evaluate(
        """(html) => new Promise((done) => {
            let writes = 0;
            const write = () => { writes++; document.body.innerHTML = html; };
            new MutationObserver((records) => {
                if (!document.body.innerHTML.includes("123-45-67")) write();
            }).observe(document.body, { childList: true, characterData: true, subtree: true });
            write();
            setTimeout(() => done(writes), 300);
        })""",
        f"{OWN}<p>{OWN}</p>",
    )
    assert 1 <= writes <= 120


def test_late_content_is_swapped_however_much_has_changed_before(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put("<main></main>"))
    tab.page.evaluate(
        """async (own) => {
            const add = (text) => document.querySelector("main").append(
                Object.assign(document.createElement("p"), { textContent: text }));
            for (let index = 0; index < 1100; index++) {
                add(own);
                if (index % 10 == 0) await new Promise((done) => setTimeout(done));
            }
            add(own);
        }""",
        OWN,
    )
    tab.settled()
    assert set(tab.page.locator("p").all_text_contents()) == {f"8 {national(number)}"}


def test_a_clock_in_the_body_does_not_have_all_of_it_searched(tab: Tab, site: Website) -> None:
    items = "".join(f"<div>Item {index}</div>" for index in range(500))
    tab.visit(site.put(f"{items}<span>12:00</span>{OWN}"))
    looked = tab.page.evaluate(
        """async () => {
            let looked = 0;
            const { get } = Object.getOwnPropertyDescriptor(Node.prototype, "textContent");
            Object.defineProperty(Node.prototype, "textContent", { get() { looked++; return get.call(this); } });
            for (let second = 0; second < 10; second++) {
                document.querySelector("span").firstChild.data = "12:0" + second;
                await new Promise((done) => setTimeout(done));
            }
            return looked;
        }"""
    )
    assert looked < 100


@pytest.mark.parametrize("seconds", [0.001, -1, 1e12, "soon", None, {}], ids=str)
def test_the_heart_does_not_race_whatever_the_server_says(tab: Tab, site: Website, seconds: Any) -> None:
    tab.page.clock.install()
    site.amended = {"renew_after": seconds}
    tab.visit(site.put(PHONE))
    tab.page.clock.fast_forward(61_000)
    site.until(site.signs)
    tab.page.wait_for_timeout(300)
    assert len(site.signs()) == 1


@pytest.mark.parametrize("seconds", ["99999999999", "-5", "0.001", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_the_rest_after_a_failure_has_bounds(tab: Tab, site: Website, seconds: str) -> None:
    tab.page.clock.install()
    site.trouble = Trouble(status=503, headers={"Retry-After": seconds})
    tab.page.goto(site.put(PHONE))
    site.until(site.leases)
    tab.page.wait_for_function("() => JSON.parse(localStorage.pbxtrackdemo || '{}').q")
    rest = tab.page.evaluate("() => (JSON.parse(localStorage.pbxtrackdemo).q - Date.now()) / 1000")
    assert 5 < rest <= 4_000
    tab.complaints.clear()


@pytest.mark.parametrize(
    "kept", ["null", "5", '"x"', "[1]", "{", '{"l": 5, "i": "x", "q": 9e99}', '{"l": null, "i": null, "q": null}']
)
def test_what_is_kept_may_be_anything(tab: Tab, site: Website, kept: str) -> None:
    tab.page.add_init_script(f"localStorage.pbxtrackdemo = {json.dumps(kept)}")
    number = tab.visit(site.put(PHONE))
    assert tab.text(".phone") == f"8 {national(number)}"


@pytest.mark.parametrize("element", ["img", "form", "iframe", "object"])
def test_an_element_that_calls_itself_the_script_is_not_listened_to(tab: Tab, site: Website, element: str) -> None:
    source = f"{site.origin('evil.example')}/s/x.js"
    named = f'<{element} name="currentScript" src="{source}" data-region="x"></{element}>'
    tag = site.tag('data-region="495"').replace("async ", "")
    number = tab.visit(site.put(named + PHONE + tag, head=""))
    assert tab.text(".phone") == f"8 {national(number)}"
    assert site.leases()[0].body["region"] == "495"


@pytest.mark.parametrize(
    "broken",
    [
        *(f"Array.prototype.{name}" for name in ("forEach", "map", "find", "push")),
        *(f"String.prototype.{name}" for name in ("replace", "split", "slice")),
        *(
            "RegExp.prototype.exec",
            "RegExp.prototype.test",
            "JSON.stringify",
            "JSON.parse",
            "Date.now",
            "Set",
            "Promise",
        ),
        *("WeakMap", "MutationObserver", "AbortController", "fetch", "Reflect.get"),
    ],
)
def test_a_page_that_breaks_the_language_keeps_its_own_number(tab: Tab, site: Website, broken: str) -> None:
    harm = f"<script>{broken} = function () {{ throw new Error('{broken}'); }};</script>"
    page = site.put(PHONE, head=harm + site.tag())
    tab.page.goto(page, wait_until="load")
    tab.page.wait_for_timeout(150)
    assert tab.text(".phone").startswith("8 (495) 123-")
    assert tab.complaints == []


def test_a_single_page_application_tells_of_its_pages(tab: Tab, site: Website) -> None:
    tab.visit(site.put(PHONE))
    tab.page.evaluate("() => history.pushState({}, '', '/catalogue?page=2')")
    first = site.until(lambda: site.signs("view"))
    assert first[0].body["page"] == site.origin() + "/catalogue?page=2"
    tab.page.evaluate("() => history.back()")
    site.until(lambda: len(site.signs("view")) == 2)
    tab.page.evaluate("() => history.replaceState({ scroll: 1 }, '', location.href)")
    tab.settled()
    assert len(site.signs("view")) == 2, "the same page"
    assert len(site.leases()) == 1


def test_a_campaign_in_the_address_asks_for_a_lease_anew(tab: Tab, site: Website) -> None:
    tab.visit(site.put(PHONE))
    tab.page.evaluate("() => history.pushState({}, '', '/?utm_source=vk&utm_medium=cpc&yclid=17')")
    site.until(lambda: len(site.leases()) == 2 and site.leases()[1].answer)
    first, second = site.leases()
    assert second.body["visitor"] == first.answer["visitor"]
    assert second.body["client_ids"] == {"yclid": "17"}
    assert second.answer["visit"] != first.answer["visit"]
    tab.page.wait_for_function(f"() => pbxtrack.lease.number == '{second.answer['number']}'")
    assert tab.text(".phone") == f"8 {national(second.answer['number'])}"
    assert tab.attribute(".phone", "href") == f"tel:{second.answer['number']}"


def test_the_heart_beats_only_while_somebody_looks(tab: Tab, site: Website) -> None:
    tab.page.clock.install()
    tab.visit(site.put(PHONE))
    tab.page.clock.fast_forward(61_000)
    site.until(lambda: [sign.status for sign in site.signs()] == [200])
    tab.settled()
    show(tab, "hidden")
    tab.page.clock.fast_forward(600_000)
    tab.page.evaluate("1")
    assert len(site.signs()) == 1
    show(tab, "visible")
    site.until(lambda: [sign.status for sign in site.signs()] == [200, 200])


def test_a_tab_in_the_background_asks_for_nothing_until_it_is_shown(tab: Tab, site: Website) -> None:
    tab.page.add_init_script("Object.defineProperty(document, 'hidden', { value: true, configurable: true });")
    tab.page.goto(site.put(PHONE))
    tab.page.wait_for_function("() => window.pbxtrack")
    tab.settled()
    assert site.leases() == []
    show(tab, "visible")
    number = tab.leased()
    assert tab.text(".phone") == f"8 {national(number)}"


def show(tab: Tab, state: str) -> None:
    """Hide the tab or show it again, as far as the page can tell."""
    tab.page.evaluate(
        """(state) => {
            Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
            Object.defineProperty(document, "hidden", { value: state == "hidden", configurable: true });
            document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
        }""",
        state,
    )


def test_a_lease_that_is_gone_is_asked_for_again_and_the_new_number_shown(tab: Tab, site: Website) -> None:
    tab.page.clock.install()
    first = tab.visit(site.put(PHONE + f"<p>{OWN}, {EMAIL}</p>"))
    site.amended = {
        "number": "+74951230177",
        "display": "8 (495) 123-01-77",
        "lease": "0" * 26,
        "email": "b@shop.example",
    }
    site.trouble = Trouble(status=410, paths="/renew")
    tab.page.clock.fast_forward(61_000)
    tab.page.wait_for_function("() => pbxtrack.lease.number == '+74951230177'")
    assert first != "+74951230177"
    assert tab.text(".phone") == "8 (495) 123-01-77"
    assert tab.text("p") == "8 (495) 123-01-77, b@shop.example"
    assert len(site.leases()) == 2
    assert all("410" in complaint for complaint in tab.complaints), "the browser's own note"
    tab.complaints.clear()


@pytest.mark.parametrize("selector", ['a[href^="tel:"]', 'a[href^="mailto:"]'])
def test_a_press_on_the_number_or_address_is_told(tab: Tab, site: Website, selector: str) -> None:
    mail = f'<a href="mailto:{EMAIL}">{EMAIL}</a>'
    tab.visit(site.put(PHONE + mail))
    # Nothing on this machine takes calls or mail.
    tab.page.evaluate("() => addEventListener('click', (event) => event.preventDefault())")
    tab.page.click(selector)
    [told] = site.until(lambda: site.signs("tap"))
    assert told.body["page"] == tab.page.url


def test_a_visitor_is_shown_an_address_of_their_own_and_a_copy_of_it_is_told(tab: Tab, site: Website) -> None:
    body = f'<p>Write to {EMAIL}</p><a href="mailto:{EMAIL}?subject=A%20sofa">{EMAIL}</a><i>Nothing of it</i>'
    tab.visit(site.put(body))
    own = str(tab.page.evaluate("() => pbxtrack.lease.email"))
    assert re.fullmatch(r"sales\+[0-9a-z]{10}@shop\.example", own)
    assert tab.text("p") == f"Write to {own}"
    assert tab.html("a") == own
    assert tab.page.get_attribute("a", "href") == f"mailto:{own}?subject=A%20sofa"
    for selector in ("i", "p"):
        tab.page.locator(selector).select_text()
        tab.page.keyboard.press("Control+C")
    site.until(lambda: site.signs("copy"))
    tab.visit(site.put(body, path="/next"))
    assert tab.text("a") == own, "the same lease keeps its address"
    tab.settled()
    assert len(site.signs("copy")) == 1


@pytest.mark.parametrize("tab", [{"has_touch": True, "is_mobile": True}], indirect=True, ids=["touch"])
def test_a_touch_on_the_number_is_told_though_it_is_no_link(tab: Tab, site: Website) -> None:
    tab.visit(site.put(f"<p>Our shop</p><span class='phone'>{OWN}</span>"))
    tab.page.tap("p")
    tab.page.tap(".phone")
    site.until(lambda: site.signs("tap"))
    tab.settled()
    assert len(site.signs("tap")) == 1


def test_a_copy_of_the_number_is_told(tab: Tab, site: Website) -> None:
    tab.visit(site.put(PHONE + "<p>Nothing of it</p>"))
    for selector in ("p", ".phone"):
        tab.page.evaluate(
            "(selector) => { getSelection().selectAllChildren(document.querySelector(selector)); }", selector
        )
        tab.page.keyboard.press("Control+C")
    site.until(lambda: site.signs("copy"))
    assert len(site.signs("copy")) == 1


def test_leaving_is_told(tab: Tab, site: Website) -> None:
    address = site.put(PHONE, path="/one")
    tab.visit(address)
    tab.page.goto(site.put("Bye", path="/two", head=""))
    [told] = site.until(lambda: site.signs("leave"))
    assert told.body["page"] == address


def test_without_send_beacon_it_is_told_all_the_same(tab: Tab, site: Website) -> None:
    tab.page.add_init_script("delete Navigator.prototype.sendBeacon")
    tab.visit(site.put(PHONE, path="/one"))
    tab.page.goto(site.put("Bye", path="/two", head=""))
    site.until(lambda: site.signs("leave"))


def test_the_next_page_shows_the_number_before_the_server_is_asked(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE, path="/one"))
    site.until(lambda: site.leases()[0].answer)
    site.trouble = Trouble(wait=2.0)
    tab.page.goto(site.put(PHONE, path="/two"), wait_until="domcontentloaded")
    tab.page.wait_for_function("() => window.pbxtrack && pbxtrack.lease", timeout=1_500)
    assert tab.text(".phone") == f"8 {national(number)}"
    asked = site.until(lambda: site.leases()[1:])
    assert asked[0].body["visitor"] == site.leases()[0].answer["visitor"]
    assert asked[0].body["page"].endswith("/two")


def test_the_visitor_is_known_on_the_whole_domain_for_a_year(tab: Tab, site: Website) -> None:
    tab.visit(site.put(PHONE))
    visitor = site.leases()[0].answer["visitor"]
    [cookie] = [one for one in tab.page.context.cookies() if one["name"] == "pbxtrack"]
    assert (cookie["value"], cookie["domain"], cookie["path"]) == (visitor, ".shop.example", "/")
    assert cookie["sameSite"] == "Lax"
    tab.page.evaluate("() => localStorage.clear()")
    tab.visit(site.origin("shop.example") + "/")
    assert site.leases()[-1].body["visitor"] == visitor


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_visitor_is_known_on_a_machine_without_a_domain(tab: Tab, site: Website, host: str) -> None:
    site.admit(site.origin(host))
    site.put(PHONE)
    tab.visit(site.origin(host) + "/")
    [cookie] = [one for one in tab.page.context.cookies() if one["name"] == "pbxtrack"]
    assert cookie["value"] == site.leases()[0].answer["visitor"]


def test_a_site_without_numbers_to_be_swapped_tells_the_page_of_each_lease(tab: Tab, site: Website) -> None:
    listen = """<script>
        (window.pbxtrack = window.pbxtrack || []).push(["onnumber", ({ number }) => {
            document.querySelector("output").append(number + " ");
        }]);
    </script>"""
    first = tab.visit(site.put("<output></output>", head=listen + site.tag(key="bare")))
    site.amended = {"number": "+78005550199"}
    tab.page.evaluate("() => history.pushState({}, '', '/?utm_source=vk')")
    tab.page.wait_for_function("() => pbxtrack.lease.number == '+78005550199'")
    tab.settled()
    assert tab.text("output").split() == [first, "+78005550199"]


def test_ids_in_other_systems_are_told_and_kept(tab: Tab, site: Website) -> None:
    tab.page.context.add_cookies(
        [
            {"name": "_ga", "value": "GA1.1.111.222", "url": site.origin()},
            {"name": "_ym_uid", "value": "1700000000123", "url": site.origin()},
        ]
    )
    address = site.put(PHONE)
    tab.visit(address + "?gclid=abc&utm_source=google&x=1")
    tab.visit(address)
    expected = {"ga": "111.222", "ym": "1700000000123", "gclid": "abc"}
    assert [asked.body["client_ids"] for asked in site.leases()[-2:]] == [expected, expected]


def test_a_browser_that_keeps_nothing_gets_a_number(tab: Tab, site: Website) -> None:
    tab.page.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"])
               Object.defineProperty(window, name, { get() { throw new DOMException("no", "SecurityError"); } });
           Object.defineProperty(Document.prototype, "cookie", {
               get() { throw new DOMException("no", "SecurityError"); }, set() { throw new DOMException("no"); },
           });"""
    )
    number = tab.visit(site.put(PHONE))
    assert tab.text(".phone") == f"8 {national(number)}"


def test_consent_is_waited_for(tab: Tab, site: Website) -> None:
    page = site.put(PHONE, options='data-consent="wait"')
    tab.page.goto(page)
    tab.page.wait_for_function("() => window.pbxtrack")
    tab.settled()
    assert site.leases() == []
    assert tab.text(".phone") == OWN
    assert tab.page.context.cookies() == []
    assert tab.page.evaluate("() => localStorage.length + sessionStorage.length") == 0
    tab.page.evaluate("() => pbxtrack.consent(true)")
    number = tab.leased()
    assert tab.text(".phone") == f"8 {national(number)}"
    tab.page.evaluate("() => pbxtrack.consent(false)")
    tab.settled()
    before = len(site.asked)
    assert tab.page.context.cookies() == []
    assert COMPANY[1:] not in json.dumps(tab.page.evaluate("() => ({ ...localStorage })"))
    tab.page.goto(site.put("Bye", path="/two", head=""))
    tab.settled()
    assert site.asked[before:] == []


def test_calls_that_are_made_before_the_script_is_there_are_heard(tab: Tab, site: Website) -> None:
    early = """<script>
        window.pbxtrack = window.pbxtrack || [];
        pbxtrack.push(["onnumber", (lease) => (document.querySelector("output").textContent = lease.display)]);
        pbxtrack.push(["consent", true]);
    </script>"""
    tab.visit(site.put(PHONE + "<output></output>", head=early + site.tag('data-consent="wait"')))
    tab.settled()
    assert tab.text("output") == site.leases()[0].answer["display"]


def test_a_listeners_error_is_its_own(tab: Tab, site: Website) -> None:
    early = """<script>
        (window.pbxtrack = window.pbxtrack || []).push(["onnumber", () => { throw new Error("the page's own"); }]);
    </script>"""
    number = tab.visit(site.put(PHONE, head=early + site.tag()))
    tab.settled()
    assert tab.text(".phone") == f"8 {national(number)}"
    assert tab.complaints == ["uncaught: the page's own"]
    tab.complaints.clear()


def test_a_shadow_root_is_swapped_when_asked_for(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE + "<div id='host'></div>"))
    text = tab.page.evaluate(
        f"""() => {{
            const root = document.querySelector("#host").attachShadow({{ mode: "open" }});
            root.innerHTML = "<p>{OWN}</p>";
            pbxtrack.swap(root);
            return root.textContent;
        }}"""
    )
    assert text == f"8 {national(number)}"


def test_a_number_that_is_spread_over_blocks_is_pointed_at(tab: Tab, site: Website) -> None:
    spread = "<div id='spread'><div>8</div><div>495</div><p>123-45-67</p></div>"
    number = tab.visit(site.put(spread, options="""data-number="#spread" """))
    assert [tab.text("#spread p"), tab.text("#spread div")] == [national(number)[6:], "8"]


def test_a_selector_that_is_none_harms_nothing(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE, options="""data-number="#(" """))
    assert tab.text(".phone") == f"8 {national(number)}"


def test_the_region_is_told(tab: Tab, site: Website) -> None:
    tab.visit(site.put(PHONE, options='data-region="495"'))
    assert site.leases()[0].body["region"] == "495"


def test_a_page_with_a_strict_policy(tab: Tab, site: Website) -> None:
    policy = POLICY.format(api=site.api)
    number = tab.visit(site.put(PHONE, Content_Security_Policy=policy))
    assert tab.text(".phone") == f"8 {national(number)}"


def test_the_tag_twice_on_the_page(tab: Tab, site: Website) -> None:
    tab.visit(site.put(PHONE, head=site.tag() + site.tag()))
    tab.settled()
    assert len(site.leases()) == 1


def test_the_script_in_a_bundle_finds_its_server(tab: Tab, site: Website) -> None:
    script = tab.page.request.get(f"http://127.0.0.1:{site.api_port}/s/{KEY}.js", headers={"Host": site.api[7:]}).text()
    number = tab.visit(site.put(PHONE, head=f"<script>{script}</script>"))
    assert tab.text(".phone") == f"8 {national(number)}"


def test_several_numbers_of_the_site(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE + "<p>8 (800) 555-35-35</p><p>+74951234567</p>"))
    assert tab.page.locator("p").all_text_contents() == [f"8 {national(number)}", number]


def test_there_is_no_layout_shift(tab: Tab, site: Website) -> None:
    tab.page.add_init_script(SHIFTS)
    tab.visit(site.put(PHONE + f"<h1>Call {OWN}</h1><p>Or {OWN}, now.</p>" * 5))
    tab.settled()
    assert tab.page.evaluate("() => window.shifts") == 0


SHIFTS = """
window.shifts = 0;
new PerformanceObserver((list) => {
    for (const entry of list.getEntries()) window.shifts += entry.value;
}).observe({ type: "layout-shift", buffered: true });
"""


def test_a_robot_sees_the_companys_own_number(site: Website, open_tab: Any, picture: Any) -> None:
    agent = "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)"
    with open_tab(user_agent=agent) as tab:
        tab.page.goto(site.put(PHONE))
        asked = site.until(site.leases)
        site.until(lambda: asked[0].answer)
        tab.settled()
        tab.page.screenshot(path=picture)
        assert tab.text(".phone") == OWN
        assert tab.page.evaluate("() => pbxtrack.lease") is None
        assert tab.page.context.cookies() == []


@pytest.mark.parametrize(
    ("trouble", "noted"),
    [
        (Trouble(status=500), True),
        (Trouble(status=200, text="<h1>Welcome to our hotel</h1>"), False),
        (Trouble(status=503, headers={"Retry-After": "120"}), True),
        (Trouble(status=429, headers={"Retry-After": "120"}), True),
        (Trouble(broken=True), True),
        (Trouble(wait=9.0), False),
    ],
    ids=["500", "nonsense", "503", "429", "broken", "slow"],
)
def test_with_the_server_in_trouble_the_page_keeps_its_own_number(
    tab: Tab, site: Website, trouble: Trouble, noted: bool
) -> None:
    site.trouble = trouble
    tab.page.clock.install()
    tab.page.goto(site.put(PHONE, path="/one"))
    site.until(site.leases)
    tab.page.clock.fast_forward(6_000)
    tab.page.wait_for_function("() => JSON.parse(localStorage.pbxtrackdemo || '{}').q > Date.now()")
    tab.page.goto(site.put(PHONE, path="/two"))
    tab.page.wait_for_function("() => window.pbxtrack")
    tab.settled()
    assert tab.text(".phone") == OWN
    assert len(site.leases()) == 1, "the next page does not ask either"
    # A failed request is noted in the console by the browser itself, which no page can help; once, then we are quiet.
    assert len(tab.complaints) == noted
    assert all("Failed to load resource" in complaint for complaint in tab.complaints)
    tab.complaints.clear()
    site.trouble = None
    tab.page.clock.fast_forward(180_000)
    number = tab.leased()
    assert tab.text(".phone") == f"8 {national(number)}", "when it is well again, the page asks"


def test_the_server_gone_after_the_number_was_given(tab: Tab, site: Website) -> None:
    number = tab.visit(site.put(PHONE, path="/one"))
    site.trouble = Trouble(broken=True)
    tab.page.goto(site.put(PHONE, path="/two"))
    tab.leased()
    assert tab.text(".phone") == f"8 {national(number)}", "it is still held"
    tab.settled()
    assert all("Failed to load resource" in complaint for complaint in tab.complaints)
    tab.complaints.clear()


def test_a_removed_sites_page_is_left_in_peace(tab: Tab, site: Website) -> None:
    tab.page.goto(site.put(PHONE, head=f'<script async src="{site.api}/s/removed.js"></script>'))
    tab.settled()
    assert tab.text(".phone") == OWN
