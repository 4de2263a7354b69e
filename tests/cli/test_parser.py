"""Help that helps, and one line for what was mistyped."""

import concurrent.futures
import shlex
import signal
import subprocess
import sys
import time
import weakref

import pytest

from minitorch_cnn import cli
from minitorch_cnn.cli import errors, train
from minitorch_cnn.cli.main import _parse
from minitorch_kernels.runtime import address_space

COMMANDS = [(), ("doctor",), ("data",), ("data", "get"), ("data", "check"), ("train",), ("predict",), ("eval",)]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help_goes_to_standard_output_and_gives_examples(command, capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main([*command, "--help"])
    out, err = capsys.readouterr()
    assert stopped.value.code == 0 and err == ""
    examples = [shlex.split(line)[1:] for line in out.split("examples:\n")[1].splitlines() if line.strip()]
    assert examples
    for words in examples:
        if "--help" not in words:
            _parse(words)  # raises where an example is out of date


def test_help_loads_nothing_heavy():
    code = (
        "import sys\nfrom minitorch_cnn.cli import main\ntry:\n    main(['train', '--help'])\nexcept SystemExit:\n"
        "    pass\nprint([n for n in ('numba', 'numpy', 'PIL', 'matplotlib') if n in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_python_m_is_mcnn():
    done = subprocess.run([sys.executable, "-m", "minitorch_cnn", "--version"], capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.startswith("mcnn ")


def test_no_number_is_taken_for_a_misspelt_one(mcnn):
    code, _, err = mcnn("eval", "--views", "10")
    assert code == 2 and err.strip().endswith("expected one of 1, 2, 6, got 10")


@pytest.mark.parametrize(
    "words, message",
    [
        (
            "trian",
            "expected one of doctor, data, train, launch, sweep, runs, transfer, predict, eval, race, list, "
            "topology, summary, explain, explore, lecture, chapters, export, gradcheck, exercise, completion, "
            "got 'trian'; did you mean 'train'?",
        ),
        ("--verson", "mcnn: unknown option --verson; did you mean '--version'?"),
        ("eval --views 8", "mcnn eval: argument --views: expected one of 1, 2, 6, got 8"),
        ("train --epochs=--", "--epochs: expected a value, got '--'"),
        ("train --epoch 3", "mcnn train: unknown option --epoch; did you mean '--epochs'?"),
        ("sweep --lr 1,2 --data pets", "mcnn sweep: unknown option --data; options of mcnn train come after --"),
        ("predict --run r", "mcnn predict: unknown option --run; see mcnn predict --help"),
        ("train --zzz", "mcnn train: unknown option --zzz; see mcnn train --help"),
        ("summary -- mlp --json", "mcnn summary: unknown option --json; put it before --"),
        ("train --run=", "mcnn train: argument --run: expected a value, got '': is a variable unset?"),
        ("transfer --weights=", "mcnn transfer: argument --weights: expected a value, got '': is a variable unset?"),
        ("train shapes10", "mcnn train: unknown argument shapes10; write --model before a network, --data before"),
        ("train --epochs 0", "--epochs: expected a number of at least 1, got '0'"),
        (f"train --epochs {10**40}", "--epochs: expected a number of at most 1,000,000, got '1000"),
        ("train --epochs two", "--epochs: expected a number of at least 1, got 'two'"),
        ("train --seed -1", "--seed: expected an integer of at least 0, got '-1'"),
        ("train --lr 0", "--lr: expected a positive number, got '0'"),
        ("train --lr inf", "--lr: expected a positive number, got 'inf'"),
        ("train --lr x", "--lr: expected a positive number, got 'x'"),
        ("train --recipe cifr4", "got 'cifr4'; did you mean 'cifar4'?"),
        ("train --recipe cifr4", "did you mean 'cifar4'?"),
        ("train --data nowhere", "mnist, fashion_mnist, a folder or a CSV file, got 'nowhere', which does not exist"),
        ("train --data shapes10 --threads 1000", "--threads - set_num_threads: count - expected 1 to"),
        ("train --data shapes10 --holdout 256", "--holdout - expected 0 to 255, got 256"),
        ("train --precision half", "--precision: expected one of float32, bf16, got 'half'"),
        ("train --resume nowhere", "nowhere - expected the folder of an earlier run, got no folder"),
        ("train --resume . --epochs 3", "leave out --epochs: a run that is resumed keeps the one"),
        ("train --resume . --run x", "leave out --run: a run that is resumed keeps the one"),
        ("predict", "mcnn predict: the following arguments are required: IMAGE"),
        ("predict cat.png", "--model - expected a run's folder or model file, got none and there is none in runs/"),
        ("eval --model nowhere", "nowhere"),
        ("data", "mcnn data: the following arguments are required: ACTION"),
        ("data check nowhere", "mcnn data check: CIFAR-10: expected cifar-10-batches-bin or"),
        ("data get --from nowhere", "mcnn data get: fetch: source - expected an archive or a folder, got 'nowhere'"),
        ("summary resnt20", "no network is called 'resnt20'; did you mean 'resnet20'? `mcnn list` prints their names"),
    ],
)
def test_bad_input_gets_one_line_and_exit_code_2(mcnn, words, message):
    code, out, err = mcnn(*words.split())
    assert code == 2 and out == ""
    assert message in err and "Traceback" not in err


def test_mcnn_alone_prints_the_help(mcnn):
    code, out, err = mcnn()
    assert code == 0 and err == "" and out.startswith("usage: mcnn") and "summary" in out


def test_a_mistake_of_ours_keeps_its_traceback(mcnn, monkeypatch):
    monkeypatch.setattr(train, "planned", lambda arguments: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mcnn("train")


def interrupted(_):
    raise KeyboardInterrupt


def test_ctrl_c_before_training_begins(mcnn, monkeypatch):
    monkeypatch.setattr(train, "planned", interrupted)
    assert mcnn("train") == (130, "", "mcnn: stopped\n")


def test_a_library_that_interrupts_its_own_process_for_want_of_a_thread(mcnn, monkeypatch):
    monkeypatch.setattr(train, "planned", interrupted)
    monkeypatch.setattr(address_space, "left", lambda: 1000)
    monkeypatch.setattr(address_space, "limit", lambda: 1 << 30)
    code, out, err = mcnn("train")
    assert (code, out) == (1, "")
    assert err.startswith("mcnn train: allow this process more address space by `ulimit -v")
    assert err.endswith("one more thread may not fit into what is left\n")


@pytest.mark.posix
def test_a_closed_pipe_is_no_traceback(trained):
    command = f"{shlex.quote(sys.executable)} -m minitorch_cnn predict --help | true; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


def test_what_is_imported_before_ctrl_c_is_one_line():
    program = (
        "import sys\nbefore = set(sys.modules)\nimport minitorch_cnn.cli\n"
        "print(sorted(name for name in set(sys.modules) - before if name in ('numpy', 'argparse')))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("module", ["explain", "train", "transfer"])
def test_ctrl_c_while_commands_are_imported(module):
    """Nearly all time before a command begins goes into imports."""
    program = (
        "import sys\n"
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == 'minitorch_cnn.cli.{module}':\n"
        "            raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        "from minitorch_cnn.cli import main\n"
        "sys.exit(main(['list']))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "mcnn: stopped\n")


@pytest.fixture
def ctrl_c():
    """Return a function that decides what Ctrl-C does; a shell lets processes in the background ignore it."""
    before = signal.getsignal(signal.SIGINT)
    yield lambda handler: signal.signal(signal.SIGINT, handler)
    signal.signal(signal.SIGINT, before)


@pytest.mark.posix
def test_ctrl_c_that_comes_out_as_another_error(mcnn, monkeypatch, ctrl_c):
    """NumPy makes an ImportError of it, and Python's compiler a SyntaxError."""

    def importing(arguments):
        try:
            signal.raise_signal(signal.SIGINT)
        except KeyboardInterrupt:
            raise ImportError("cannot load module more than once per process") from None

    ctrl_c(signal.default_int_handler)
    monkeypatch.setattr(train, "planned", importing)
    assert mcnn("train") == (130, "", "mcnn: stopped\n")
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.posix
def test_ctrl_c_that_a_callback_swallows(mcnn, monkeypatch, ctrl_c):
    class Thing:
        pass

    def importing(arguments):
        thing = Thing()
        reference = weakref.ref(thing, lambda _: signal.raise_signal(signal.SIGINT))
        del thing
        time.sleep(60 if reference() is None else 0)

    ctrl_c(signal.default_int_handler)
    monkeypatch.setattr(train, "planned", importing)
    assert mcnn("train") == (130, "", "mcnn: stopped\n")


def test_ctrl_c_while_an_error_is_explained(mcnn, monkeypatch):
    monkeypatch.setattr(errors, "explain", interrupted)
    monkeypatch.setattr(train, "planned", lambda arguments: 1 / 0)
    assert mcnn("train") == (130, "", "mcnn: stopped\n")


@pytest.mark.posix
def test_ctrl_c_stays_ignored_where_it_is(mcnn, monkeypatch, ctrl_c):
    ctrl_c(signal.SIG_IGN)
    monkeypatch.setattr(train, "planned", lambda arguments: signal.raise_signal(signal.SIGINT) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        mcnn("train")


def test_a_command_in_another_thread(mcnn):
    with concurrent.futures.ThreadPoolExecutor() as pool:
        assert pool.submit(mcnn, "list").result()[0] == 0


@pytest.mark.parametrize("threads", ["0", "abc", "", "-1", "1.5"])
def test_a_number_of_threads_that_numba_refuses(mcnn, monkeypatch, threads):
    monkeypatch.setenv("NUMBA_NUM_THREADS", threads)
    code, out, err = mcnn("summary", "mlp")
    assert (code, out) == (2, "")
    assert err == f"mcnn: set NUMBA_NUM_THREADS to at least 1, or unset it: it is {threads!r}\n"


@pytest.mark.parametrize("date", ["", "x", "-1", "1.5"])
def test_a_date_of_files_that_is_no_number_is_named(mcnn, monkeypatch, date):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", date)
    code, out, err = mcnn("summary", "mlp")
    assert (code, out) == (2, "")
    expected = "a number of seconds, which dates files"
    assert err == f"mcnn: set SOURCE_DATE_EPOCH to {expected}, or unset it: it is {date!r}\n"
