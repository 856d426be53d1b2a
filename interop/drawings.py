"""What is drawn, opened by the programs that people open it with: the page in Chromium, the PDF by poppler's tools.

Both are of the reference session's recording, so that what is to be seen is known to the row.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from pathlib import Path

from .binary import REPOSITORY, port21
from .browser import Browser, program
from .processes import run
from .report import Failure, Scenario, Skip

RECORDING = REPOSITORY / "crates/trace/tests/data/reference.jsonl"
TITLE = "FTP Session Sequence Diagram"
ROWS, SECTIONS = 44, 6
LIGHT, DARK = "rgb(255, 255, 255)", "rgb(13, 17, 23)"
# The messages of port 21 as the document has them, in its order; each with the text under or beside it.
MESSAGES = [
    *("220 ANY-DOMAIN.COM FTP Service", "USER ftp", "331 Anonymous access allowed, send identity (e-mail name) as password."),
    *("PASS ***", "230- Welcome to ftp.any-domain.com", "230 Anonymous user logged in."),
    *("PORT {host}:{first}", "200 PORT command successful.", "LIST"),
    *("150 Opening ASCII mode data connection for /bin/ls.", "226 Transfer complete."),
    *("CWD pub", "250 CWD command successful."),
    *("PORT {host}:{second}", "200 PORT command successful.", "RETR readme.txt"),
    *("150 Opening ASCII mode data connection for readme.txt(1715 bytes).", "226 Transfer complete."),
    *("QUIT", "221 Thank you for visiting ftp.any-domain.com."),
]


def scenarios() -> list[Scenario]:
    return [Scenario("Chromium", "HTML", _page), Scenario("poppler", "PDF", _pages)]


def _drawn(folder: str, name: str, *options: str) -> Path:
    path = Path(folder) / name
    ended = run([port21(), "trace", str(RECORDING), "-o", str(path), "--title", TITLE, *options])
    if ended.returncode != 0:
        raise Failure(f"exit status {ended.returncode}", ended.stdout)
    return path


def _page(scenario: Scenario) -> None:
    if not program():
        raise Skip("there is no Chromium on this machine")
    with tempfile.TemporaryDirectory() as folder:
        page = _drawn(folder, "x.html")
        with Browser() as browser:
            for check in (_whole, _arrows, _folding, _search, _keys, _heads, _themes, _paper):
                # Each begins with a page that nobody has touched.
                browser.prefers("light")
                browser.open(page)
                scenario.check(check.__doc__ or "", lambda check=check: check(browser))


def _is(browser: Browser, script: str, wanted: object) -> None:
    found = browser.ask(script)
    if found != wanted:
        raise Failure(f"{script} is {found!r}, not {wanted!r}")


def _whole(browser: Browser) -> None:
    """all rows, nothing loaded"""
    _is(browser, "document.querySelectorAll('details.row').length", ROWS)
    _is(browser, "document.querySelectorAll('details.sec[open]').length", SECTIONS)
    _is(browser, "document.querySelector('h1').textContent", TITLE)
    _is(browser, "performance.getEntriesByType('resource').length", 0)
    _is(browser, "document.querySelector('.tools').hidden", False)


def _arrows(browser: Browser) -> None:
    """arrows end at their lanes"""
    far = """(() => {
      const lanes = getComputedStyle(document.body).getPropertyValue('--n');
      return [...document.querySelectorAll('.w')].filter((arrow) => {
        const box = arrow.parentElement.getBoundingClientRect(), own = arrow.getBoundingClientRect();
        const lane = (name) => box.left + (Number(arrow.style.getPropertyValue(name)) + .5) * box.width / lanes;
        const plain = getComputedStyle(arrow).backgroundImage === 'none';
        return !plain || Math.abs(own.left - lane('--a')) > 7 || Math.abs(own.right - lane('--b')) > 7;
      }).length;
    })()"""
    _is(browser, far, 0)
    _is(browser, "document.querySelectorAll('.w').length", ROWS)


def _folding(browser: Browser) -> None:
    """sections and rows fold"""
    shown = "[...document.querySelectorAll('details.row')].filter((row) => row.checkVisibility()).length"
    _is(browser, shown, ROWS)
    browser.ask("document.querySelector('#s2 > summary').click()")
    _is(browser, "document.querySelector('#s2').open", False)
    browser.press("F")
    _is(browser, shown, 0)
    browser.press("U")
    _is(browser, shown, ROWS)
    browser.ask("document.querySelector('#s1 details.row > summary').click()")
    _is(browser, "document.querySelector('#s1 details.row[open] dl').innerText.includes('time')", True)
    browser.press("F")
    browser.ask("location.hash = 's5'")
    _is(browser, "new Promise((done) => setTimeout(() => done(document.querySelector('#s5').open)))", True)


def _search(browser: Browser) -> None:
    """search"""
    hits = "document.getElementById('hits').textContent"
    browser.press("F", "/", *"226")
    _is(browser, "document.activeElement.id", "find")
    _is(browser, hits, "1 of 2")
    _is(browser, "document.querySelectorAll('.row.hit').length", 2)
    browser.press("Enter")
    _is(browser, hits, "2 of 2")
    # It is unfolded, and in view below the heads.
    _is(browser, "document.querySelector('.row.here').closest('.sec').id", "s5")
    below = "document.querySelector('.row.here').getBoundingClientRect().top > document.querySelector('.top').getBoundingClientRect().bottom"
    _is(browser, below, True)
    _is(browser, "document.querySelector('.row.here').getBoundingClientRect().bottom < innerHeight", True)
    browser.press("Escape")
    _is(browser, "document.querySelectorAll('.row.hit').length + document.getElementById('find').value", "0")
    browser.press("/", *"nowhere")
    _is(browser, hits, "nothing found")


def _keys(browser: Browser) -> None:
    """keyboard"""
    row = "[...document.querySelectorAll('details.row')].indexOf(document.activeElement.closest('details.row'))"
    browser.press("j", "j", "j", "k")
    _is(browser, row, 1)
    browser.press("Enter")
    _is(browser, "document.activeElement.closest('details.row').open", True)
    browser.press("f")
    _is(browser, "document.querySelector('#s1').open", False)
    browser.press("p")
    _is(browser, "document.querySelector('.row.tc').checkVisibility()", False)
    browser.press("p")
    _is(browser, "document.querySelector('.row.tc').checkVisibility()", True)
    browser.press("?")
    _is(browser, "document.getElementById('help').open", True)
    browser.press("Escape")
    _is(browser, "document.getElementById('help').open", False)


def _heads(browser: Browser) -> None:
    """lane heads stay in view"""
    browser.ask("scrollTo(0, document.body.scrollHeight)")
    _is(browser, "scrollY > 500", True)
    _is(browser, "document.querySelector('.top').getBoundingClientRect().top", 0)
    seen = """[...document.querySelectorAll('.pn')].every((port) => {
      const box = port.getBoundingClientRect();
      return document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2) === port;
    })"""
    _is(browser, seen, True)


def _themes(browser: Browser) -> None:
    """light and dark"""
    ground = "getComputedStyle(document.body).backgroundColor"
    _is(browser, ground, LIGHT)
    browser.prefers("dark")
    _is(browser, ground, DARK)
    browser.press("t")
    _is(browser, ground, LIGHT)
    browser.prefers("light")
    browser.press("t")
    _is(browser, ground, DARK)


def _paper(browser: Browser) -> None:
    """prints light and whole"""
    browser.press("t", "F")
    browser.prints(True)
    _is(browser, "getComputedStyle(document.body).backgroundColor", LIGHT)
    _is(browser, "document.querySelector('.tools').checkVisibility()", False)
    browser.ask("dispatchEvent(new Event('beforeprint'))")
    _is(browser, "document.querySelectorAll('details.sec[open]').length", SECTIONS)
    browser.ask("dispatchEvent(new Event('afterprint'))")
    browser.prints(False)
    _is(browser, "document.querySelectorAll('details.sec[open]').length", 0)


def _pages(scenario: Scenario) -> None:
    if not shutil.which("pdftotext"):
        raise Skip("poppler-utils is not on this machine")
    with tempfile.TemporaryDirectory() as folder:
        whole = _drawn(folder, "whole.pdf", "--date", "2005-05-02")
        port = _drawn(folder, "port.pdf", "--date", "2005-05-02", "--only", "server:21", "--paper", "letter")
        scenario.check("a page's heading and lanes", lambda: _headings(whole))
        scenario.check("its font is in it", lambda: _fonts(whole))
        scenario.check("all messages in order", lambda: _messages(whole))
        scenario.check("one port, letter", lambda: _one_port(port))


def _text(pdf: Path, *options: str) -> str:
    """The text in the order in which it is drawn, as one line a page."""
    pages = run(["pdftotext", "-raw", *options, str(pdf), "-"]).stdout.rstrip("\f\n").split("\f")
    return "\f".join(re.sub(r"\s+", " ", page) for page in pages)


def _headings(pdf: Path) -> None:
    pages = _text(pdf).split("\f")
    if len(pages) < 3:
        raise Failure(f"{len(pages)} pages")
    for number, page in enumerate(pages, 1):
        for said in (TITLE, "port21 ", "2005-05-02", f"page {number} of {len(pages)}", "Internet", "5002", "Remarks"):
            if said not in page:
                raise Failure(f"page {number} has no {said}", page)


def _fonts(pdf: Path) -> None:
    fonts = run(["pdffonts", str(pdf)]).stdout
    rows = fonts.splitlines()[2:]
    if len(rows) != 2 or not all(re.search(r"Inter-\w+\S* .* yes yes yes ", row) for row in rows):
        raise Failure("other fonts than Inter, or not embedded", fonts)


def observed(capture: Path, pdf: Path, host: str, offset: int) -> None:
    """The capture of the demo, drawn, is the document: each message in its place, and handshakes that were seen."""
    if not shutil.which("pdftotext"):
        raise Skip("poppler-utils is not on this machine")
    ended = run([port21(), "trace", str(capture), "-o", str(pdf), "--title", TITLE])
    if ended.returncode != 0:
        raise Failure(f"exit status {ended.returncode}", ended.stdout)
    _messages(pdf, host, offset)
    text = _text(pdf)
    if "inferred" in text or text.count("SYN+ACK") < 3 or "DNS Query" not in text:
        raise Failure("handshakes or the look-up are not what was seen", text)
    if "Fault" in text or "Warning" in text:
        raise Failure("something is said to be wrong with it", text)


def _messages(pdf: Path, host: str = "192.168.0.2", offset: int = 0) -> None:
    text, at = _text(pdf), 0
    for message in (one.format(host=host, first=5001 + offset, second=5002 + offset) for one in MESSAGES):
        found = text.find(message, at)
        if found < 0:
            raise Failure(f"no {message!r}, or not in its place", text[at:])
        at = found + len(message)


def _one_port(pdf: Path) -> None:
    facts, text = run(["pdfinfo", str(pdf)]).stdout, _text(pdf)
    if f"Port_21 Interfaces ({TITLE})" not in text or "792 x 612" not in facts:
        raise Failure("another title or paper", facts + text)
    _messages(pdf)
    if "5001 5002" in text or "DNS Query" in text:
        raise Failure("more than the port", text)
