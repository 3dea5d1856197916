import pytest

from gradio_ui.auth import safe_return, sign_in_url


@pytest.mark.parametrize("target", ["/", "/rep/", "/rep/?receipt=2611170036700300000103", "/signed-in"])
def test_signing_in_comes_back_to_a_page_of_ours(target: str):
    assert safe_return(target) == target


@pytest.mark.parametrize(
    "target",
    [
        "",
        "rep",
        "//evil.example",
        "/\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/\r\nSet-Cookie: a=b",
    ],
)
def test_signing_in_never_leads_elsewhere(target: str):
    assert safe_return(target) == "/"


def test_the_way_back_survives_in_the_address():
    assert sign_in_url("/rep/?receipt=1&x=2") == "/sign-in?next=%2Frep%2F%3Freceipt%3D1%26x%3D2"
