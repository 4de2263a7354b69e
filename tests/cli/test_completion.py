"""`mcnn completion`: the script that a shell reads completes what the commands take."""

import shutil
import subprocess
import sys

import pytest


@pytest.fixture(scope="module")
def completes(tmp_path_factory):
    """Return a function that gives what bash offers for the last of some words."""
    pytest.importorskip("shtab", reason="shtab is not installed")
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    command = [sys.executable, "-m", "minitorch_cnn", "completion", "bash"]
    written = subprocess.run(command, capture_output=True, check=True)
    file = tmp_path_factory.mktemp("completion") / "mcnn"
    file.write_bytes(written.stdout)
    offer = 'source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _shtab_mcnn; printf "%s\\n" "${COMPREPLY[@]}"'

    def complete(*words):
        done = subprocess.run(["bash", "-c", offer, file, "mcnn", *words], capture_output=True, text=True, check=True)
        return done.stdout.split()

    return complete


@pytest.mark.parametrize(
    "words, offered",
    [
        (["tr"], {"train", "transfer"}),
        (["explain", "gr"], {"graph", "growth"}),
        (["train", "--re"], {"--resume", "--recipe"}),
        (["train", "--recipe", "cifar4"], {"cifar4", "cifar4_fast"}),
        (["summary", "resnet2"], {"resnet20", "resnet20_b"}),
        (["completion", "z"], {"zsh"}),
    ],
)
def test_what_bash_offers(completes, words, offered):
    found = set(completes(*words))
    assert offered <= found and all(name.startswith(words[-1]) for name in found)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "tcsh"])
def test_every_shell_has_a_script_with_all_commands(mcnn, shell):
    pytest.importorskip("shtab", reason="shtab is not installed")
    code, out, err = mcnn("completion", shell)
    assert (code, err) == (0, "") and "transfer" in out and "gradcheck" in out


def test_without_shtab_the_message_says_what_to_install(mcnn, monkeypatch):
    monkeypatch.setitem(sys.modules, "shtab", None)
    code, out, err = mcnn("completion", "bash")
    assert (code, out) == (1, "")
    assert err == "mcnn completion: install shtab first, by pip install 'minitorch-cnn[completion]'\n"
