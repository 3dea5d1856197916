"""The portal's own files: named by their content, kept for ever under that name and never under another."""

from __future__ import annotations

import re
import shutil
from importlib import resources
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from gradio_ui.assets import FOR_EVER, HASHED, Assets

STATIC = Path(str(resources.files("gradio_ui") / "static"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "static"
    (folder / "fonts").mkdir(parents=True)
    (folder / "app.css").write_text('@font-face { src: url("/static/fonts/a.woff2"); }' + "a { color: red }" * 50)
    (folder / "fonts" / "a.woff2").write_bytes(b"\x00" * 1_000)
    return folder


def client(assets: Assets) -> httpx.AsyncClient:
    app = Starlette(routes=[Mount("/static", assets)])
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://portal")


async def test_a_file_is_kept_for_ever_under_the_name_of_its_content_alone(folder: Path) -> None:
    assets = Assets(folder)
    async with client(assets) as http:
        named = await http.get(f"/static/{assets.version}/app.css")
        assert named.headers["cache-control"] == FOR_EVER
        assert named.headers["content-type"].startswith("text/css")
        for path in ("/static/app.css", "/static/0123456789abcdef/app.css"):  # the latter: of a page from before
            answer = await http.get(path)
            assert answer.content == named.content
            assert "cache-control" not in answer.headers
        for path in ("/static/none.css", "/static/", "/static/../assets.py", "/static/fonts"):
            assert (await http.get(path)).status_code == 404
        assert (await http.post(f"/static/{assets.version}/app.css")).status_code == 404


async def test_what_a_file_names_has_the_same_version(folder: Path) -> None:
    assets = Assets(folder)
    async with client(assets) as http:
        sheet = (await http.get(f"/static/{assets.version}/app.css")).text
        (font,) = re.findall(r'url\("([^"]+)"\)', sheet)
        assert (await http.get(font)).headers["cache-control"] == FOR_EVER


def test_any_change_of_content_or_name_changes_the_version(folder: Path) -> None:
    before = Assets(folder).version
    copy = folder.with_name("copy")
    shutil.copytree(folder, copy)
    assert Assets(copy).version == before
    (copy / "fonts" / "a.woff2").write_bytes(b"\x01" * 1_000)
    changed = Assets(copy).version
    (copy / "app.css").rename(copy / "other.css")
    assert len({before, changed, Assets(copy).version}) == 3


@pytest.mark.parametrize(("accepted", "encoding"), [("gzip, br", "br"), ("gzip", "gzip"), ("", None), ("zstd", None)])
async def test_text_is_sent_as_small_as_the_browser_reads_it(folder: Path, accepted: str, encoding: str | None) -> None:
    assets = Assets(folder)
    async with client(assets) as http:
        answer = await http.get(f"/static/{assets.version}/app.css", headers={"accept-encoding": accepted})
        assert answer.headers.get("content-encoding") == encoding
        assert answer.headers["vary"] == "Accept-Encoding"
        assert "color: red" in answer.text
        assert (int(answer.headers["content-length"]) < 200) == (encoding is not None)


@pytest.mark.parametrize(
    ("path", "is_hashed"),
    [
        ("/static/0123456789abcdef/fonts/a.woff2", True),
        ("/rep/assets/Blocks-0aNuD791.css", True),
        ("/rep/assets/Index-DAx5Uzyn2.js", True),
        ("/static/app.css", False),
        ("/rep/assets/gradio.js", False),
        ("/rep/theme.css", False),
        ("/rep/static/fonts/Inter-Regular.woff2", False),
        ("/rep/gradio_api/run/predict", False),
    ],
)
def test_only_names_with_a_digest_count_as_such(path: str, *, is_hashed: bool) -> None:
    assert bool(re.match(HASHED, path)) is is_hashed


def test_nothing_of_ours_is_linked_in_a_way_that_would_miss_its_version() -> None:
    assert all(
        text.count(b"/static/") == text.count(b'"/static/')
        for path in STATIC.rglob("*")
        if path.suffix in {".css", ".js", ".svg"}
        for text in [path.read_bytes()]
    )
