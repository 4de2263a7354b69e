"""`mcnn lecture`, `new` and `build`: a lecturer's own text and network in one page."""

import sys

import pytest

from minitorch_cnn.explain.lecture import networks

SLIDES = '# Meins\n\n```figure network\nnetwork = "pets"\n```\n'
DECK = 'title = "Vorlesung"\nlang = "de"\n[words]\ninput = "Eingabe"\n[networks]\npets = "../run"\n'


@pytest.fixture
def quick(monkeypatch):
    pytest.importorskip("markdown_it")
    monkeypatch.setattr(networks, "STEPS", 1)


def test_new_copies_a_text_that_can_be_edited_and_built(mcnn, own_folder, quick, trained):
    code, out, err = mcnn("lecture", "new", "mine")
    assert code == 0 and not err and "then run: mcnn lecture build mine" in out
    for path in (own_folder / "mine").glob("*.md"):
        path.unlink()
    (own_folder / "mine" / "01.md").write_text(SLIDES, encoding="utf-8")
    (own_folder / "mine" / "deck.toml").write_text(DECK, encoding="utf-8")
    code, out, err = mcnn("lecture", "build", "mine", "-o", "mine.html")
    assert code == 0 and out.startswith("mine.html - 1 slides"), err
    page = (own_folder / "mine.html").read_text(encoding="utf-8")
    assert '<html lang="de">' in page and "<title>Vorlesung</title>" in page and '"input":"Eingabe"' in page
    assert page.count('"weights":') == 1  # no other network is trained
    (own_folder / "mine" / "01.md").write_text(SLIDES.replace("pets", "yours"), encoding="utf-8")
    code, _, err = mcnn("lecture", "build", "mine", "--run", trained)
    assert code == 0, err
    assert (own_folder / "lecture.html").read_text(encoding="utf-8").count('"weights":') == 1


def test_the_code_names_every_network(mcnn, own_folder, trained):
    code, out, _ = mcnn("lecture", "--run", trained, "--show-code")
    assert code == 0 and "pages['yours'] = explain.explore(classifier, images, labels)" in out
    assert "page = explain.build_lecture(pages=pages)" in out
    assert mcnn("lecture", "--show-code")[1].count("explore") == 0
    assert "argument DIR: expected a value" in mcnn("lecture", "build", "", "--show-code")[2]  # not the shipped one


def test_mistakes_are_named(mcnn, own_folder, monkeypatch):
    pytest.importorskip("markdown_it")
    (own_folder / "a").mkdir()
    (own_folder / "a" / "02.md").write_text("# A\n\n```figure window\nstride = 0\n```\n")
    code, _, err = mcnn("lecture", "build", "a")
    assert code == 2 and err == (
        "mcnn lecture build: 02.md:4: figure window: stride - expected an integer of 1 to 4, got 0\n"
    )
    code, _, err = mcnn("lecture", "new", "a")
    assert code == 2 and err == "mcnn lecture new: folder - expected a name that is not taken, got 'a'\n"
    code, _, err = mcnn("lecture", "build", "none")
    assert code == 2 and "none: folder - expected the folder of a lecture" in err
    code, _, err = mcnn("lecture", "-o", "page.pdf")
    assert code == 2 and "-o - expected a file name that ends in .html, got 'page.pdf'" in err
    code, _, err = mcnn("lecture", "bild", "a")
    assert code == 2 and "did you mean 'build'?" in err
    (own_folder / "a" / "deck.toml").write_text('[networks]\n\npets = "deck.toml"\n')
    code, _, err = mcnn("lecture", "build", "a")
    assert code == 2 and err.startswith("mcnn lecture build: deck.toml:3: networks: pets - ") and "safetensors" in err
    code, _, err = mcnn("lecture", "build", "a", "--network", "pet=own.py:Net")
    assert code == 2 and "--network - expected one of pets, got 'pet'; did you mean 'pets'?" in err
    code, _, err = mcnn("lecture", "--network", "pet=own.py:Net")
    assert code == 2 and "--network - expected one of none" in err
    code, _, err = mcnn("lecture", "build", "a", "--network", "own.py:Net")
    assert code == 2 and "such as pets=own.py:Net, got 'own.py:Net'" in err
    code, _, err = mcnn("lecture", "--run", "none")
    assert code == 2 and err.startswith("mcnn lecture: --run - ") and "none" in err
    (own_folder / "a" / "deck.toml").unlink()
    monkeypatch.setitem(sys.modules, "markdown_it", None)
    code, _, err = mcnn("lecture", "build", "a")
    assert code == 2 and "install what lectures need: pip install 'minitorch-cnn[lecture]'" in err
