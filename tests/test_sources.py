"""Where networks can be had: handles, addresses, and mirrors of both sources."""

from __future__ import annotations

import pytest
from hub_server import KERAS

from catalog.descriptors.errors import InvalidInput
from catalog.embedder.sources import IMAGENET_HANDLE, Source, handle_of, published, sources


@pytest.fixture(autouse=True)
def no_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has named a mirror."""
    monkeypatch.delenv("CATALOG_HUB_URL", raising=False)
    monkeypatch.delenv("CATALOG_KERAS_URL", raising=False)


HUB_URL = f"https://tfhub.dev/{IMAGENET_HANDLE}?tf-hub-format=compressed"
KERAS_URL = f"https://storage.googleapis.com/tensorflow/{KERAS}"


@pytest.mark.parametrize(
    ("reference", "handle", "address"),
    [
        ("a/b/5", "a/b/5", "https://tfhub.dev/a/b/5?tf-hub-format=compressed"),
        ("https://tfhub.dev/a/b/5", "a/b/5", "https://tfhub.dev/a/b/5?tf-hub-format=compressed"),
        (
            "https://tfhub.dev/a/b/5?tf-hub-format=compressed",
            "a/b/5",
            "https://tfhub.dev/a/b/5?tf-hub-format=compressed",
        ),
        (
            "http://host/x.tar.gz?key=1",
            "http://host/x.tar.gz?key=1",
            "http://host/x.tar.gz?key=1&tf-hub-format=compressed",
        ),
    ],
)
def test_handles(reference: str, handle: str, address: str) -> None:
    """A handle and its URL are one; other URLs stay whole; the query is added once."""
    assert handle_of(reference) == handle
    for source in (None, "hub"):
        (only,) = sources(reference, source)
        assert (only.origin, only.url) == (handle, address)


@pytest.mark.parametrize(
    "reference",
    ["", "  ", "/", "https://tfhub.dev/", "file:///etc/passwd", "ftp://host/x", "http://", "http://[",
     "http://host:port/x", "http://me:secret@host/x", "a b/c", "g\u00f6gle/x"],
)  # fmt: skip
def test_what_is_no_handle(reference: str) -> None:
    """Other schemes than http and https, and what cannot be asked for, are refused."""
    with pytest.raises(InvalidInput):
        sources(reference)


def test_the_imagenet_network_has_two_sources() -> None:
    """It is asked of the Hub, then of Keras applications; one that is named is the only one."""
    both = sources(IMAGENET_HANDLE)
    assert [(str(one), one.origin, one.url) for one in both] == [
        ("TF Hub (tfhub.dev)", IMAGENET_HANDLE, HUB_URL),
        ("Keras applications (storage.googleapis.com)", KERAS_URL, KERAS_URL),
    ]
    assert sources(f"https://tfhub.dev/{IMAGENET_HANDLE}") == both
    assert sources(IMAGENET_HANDLE, "hub") == both[:1]
    assert sources(IMAGENET_HANDLE, "keras") == both[1:]
    assert set(published()) == {HUB_URL, KERAS_URL}


def test_an_address_is_a_source() -> None:
    """An address is asked as it stands, since a query that is added can break a signature."""
    url = "https://host/net.h5?signature=1"
    (only,) = sources(IMAGENET_HANDLE, url)
    assert only == Source("host", url, url)
    assert str(only) == "host"


@pytest.mark.parametrize(
    "source", ["", "Hub", "kaggle", "/tmp/net.h5", "ftp://host/x", "http://a b"]
)
def test_what_is_no_source(source: str) -> None:
    """What is neither a name of a source nor an address is refused, and said what is."""
    with pytest.raises(InvalidInput, match="a source is hub, keras or an address"):
        sources(IMAGENET_HANDLE, source)


@pytest.mark.parametrize("source", ["keras", "https://host/net.h5"])
@pytest.mark.parametrize("handle", ["a/b/5", "https://host/x.tar.gz"])
def test_another_network_has_one_source(handle: str, source: str) -> None:
    """Only the ImageNet network can be had elsewhere."""
    with pytest.raises(InvalidInput, match="has no other source"):
        sources(handle, source)


def test_mirrors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each source can be mirrored; a mirror is named to people, and is no source of its own."""
    plain = sources(IMAGENET_HANDLE)
    monkeypatch.setenv("CATALOG_HUB_URL", "https://mirror/hub/")
    monkeypatch.setenv("CATALOG_KERAS_URL", "http://mirror:81/keras-applications")
    hub, keras = sources(IMAGENET_HANDLE)
    assert hub.url == f"https://mirror/hub/{IMAGENET_HANDLE}?tf-hub-format=compressed"
    assert keras.url == f"http://mirror:81/{KERAS}"
    assert (str(hub), str(keras)) == ("TF Hub (mirror)", "Keras applications (mirror:81)")
    assert [one.origin for one in (hub, keras)] == [one.origin for one in plain]
    assert set(published()) == {HUB_URL, KERAS_URL}


@pytest.mark.parametrize("variable", ["CATALOG_HUB_URL", "CATALOG_KERAS_URL"])
@pytest.mark.parametrize("value", ["mirror", "ftp://mirror", "http://"])
def test_what_is_no_mirror(variable: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A variable that names no server is refused by its name."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(InvalidInput, match=f"{variable} must be an address"):
        sources(IMAGENET_HANDLE)
