"""Whether a user agent names itself a robot: a crawler, a previewer of links, a monitor."""

from __future__ import annotations

import re
from functools import cache, lru_cache

from crawlerdetect.providers import crawlers, exclusions

MAX_AGENT = 512  # characters of a user agent that are looked at

# Programs by which people call the API, such as a website's own backend for its visitors. The list of crawlers has them
# too; here they are none, unless they name themselves one besides.
_PROGRAMS = re.compile(
    r"(?<!\w)(?:"
    r"aiohttp|akka-http|amphp/http-client|apache-http(?:async)?client|asynchttpclient|attohttpc|axios|"
    r"commons-httpclient|cpp-httplib|dart(?=/)|eventmachine|faraday|fasthttp|"
    r"github\.com/(?:bitinn|sindresorhus)|go (?:[\d.]+ package http|http package)|gofetch|go-http-client|"
    r"google-http-java-client|gsoap|guzzle(?:http)?|http_request2|httpclient|httpcomponents|httpie|http-(?:kit|tiny)|"
    r"http::(?:lite|tiny)|http\.rb|httpurlconnection|java(?=/)|jersey(?=/)|jetty|k6|khttp|(?:lib|py)?curl|"
    r"libwww-perl|lua-resty-http|lwp(?:::simple|-request|-trivial)|mojolicious \(perl\)|nghttp2|"
    r"node-(?:fetch|superagent|urllib)|okhttp|pecl::http|php(?=/)|php-requests|postmanruntime|"
    r"python-(?:httplib2|httpx|requests|urllib\d?|xmlrpc)|reactornetty|reqwest|restsharp|ruby(?=/|$)|scalaj-http|"
    r"schemathesis|undici|unirest-java|ureq|webclient(?=/)|wget|winhttp|wordpress(?=/)|zend(?:_http_|\\http\\)client"
    r")(?!\w)"
)

# What web developers test their pages with, substitution included; crawlers that run one name themselves besides.
_WITHOUT_WINDOW = "headlesschrome"


def is_bot(user_agent: str, from_page: bool) -> bool:
    """Whether a robot asks. ``from_page``: a page's script does, as the Origin header tells.

    A page's script that names no user agent runs in no browser that people use.
    """
    agent = user_agent[:MAX_AGENT].strip()
    return _named_bot(agent) if agent else from_page


@lru_cache(maxsize=4096)
def _named_bot(agent: str) -> bool:
    browsers, bots = _patterns()
    name = _PROGRAMS.sub("", agent.lower()).replace(_WITHOUT_WINDOW, "")
    return bots.search(browsers.sub("", name)) is not None


@cache
def _patterns() -> tuple[re.Pattern[str], re.Pattern[str]]:
    """What browsers and devices are called, to be left out, and what robots are; for text in lower case.

    The package's own patterns ignore case, which is five times slower. The repetition that one of them begins with
    finds a robot's whole name, makes no difference to whether one is found, and takes seconds for 8 KB of a letter.
    """
    names = (pattern.removeprefix(r"[a-z0-9\-_]*") for pattern in crawlers.data)
    return re.compile("|".join(exclusions.data).lower()), re.compile("|".join(names).lower())
