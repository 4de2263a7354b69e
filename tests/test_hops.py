"""From `nn.Conv2d.forward` to the micro-kernel: a path that an editor's "go to definition" can follow.

A hop is a name in a function that one reads, and the definition that the editor jumps to. Two tools have to find each:
jedi, and pyright's language server, which many editors run. A last test runs a layer and holds that the path is the one
that is executed. What lies beside it: `Function.apply`, which calls an operation's `forward`, and the decorator that
shares a kernel's tasks out over threads.
"""

import ast
import contextlib
import json
import pathlib
import subprocess
import sys
from typing import NamedTuple

import numpy as np
import pytest

import minitorch_cnn
import minitorch_kernels
from minitorch_cnn import Tensor, nn

ROOT = pathlib.Path(minitorch_cnn.__file__).parents[1]
KERNELS = pathlib.Path(minitorch_kernels.__file__).parents[1]
CONV, MICROKERNEL = "minitorch_kernels/conv", "minitorch_kernels/gemm/microkernel.py"
MOST_HOPS, MOST_FILES = 9, 6


class Hop(NamedTuple):
    """A name in a definition of a file; ``after`` is the text on its line that leads to it."""

    file: str
    definition: str  # that one reads, such as "Conv2d.forward"
    after: str
    name: str


START = (
    Hop("minitorch_cnn/nn/conv.py", "Conv2d.forward", "return ops.", "conv2d"),
    Hop("minitorch_cnn/ops/conv.py", "conv2d", "return ", "Conv2d"),
    Hop("minitorch_cnn/ops/conv.py", "Conv2d.forward", "ctx.algorithm = kernels.conv.selection.", "choose"),
    Hop(f"{CONV}/selection.py", "choose", "def choose(problem, rows=", "TABLE"),
)
PATHS = {
    "indirect": (
        *START,
        Hop(f"{CONV}/selection.py", "TABLE", "indirect.", "conv2d_forward_indirect"),
        Hop(f"{CONV}/indirect.py", "conv2d_forward_indirect", "    ", "multiply_windows"),
        Hop(f"{CONV}/indirect.py", "multiply_windows", "    ", "indirect_gemm"),
        Hop("minitorch_kernels/gemm/matmul.py", "indirect_gemm", "    ", "microkernel"),
        Hop(MICROKERNEL, "microkernel", "", ""),
    ),
    "winograd": (
        *START,
        Hop(f"{CONV}/selection.py", "TABLE", "forward=winograd.", "conv2d_forward_winograd"),
        Hop(f"{CONV}/winograd/correlate.py", "conv2d_forward_winograd", "fill=", "fill_by_tiles"),
        Hop(f"{CONV}/winograd/correlate.py", "fill_by_tiles", "    ", "_by_tiles"),
        Hop(f"{CONV}/winograd/correlate.py", "_by_tiles", "    ", "_multiply"),
        Hop(f"{CONV}/winograd/correlate.py", "_multiply", "    ", "microkernel"),
        Hop(MICROKERNEL, "microkernel", "", ""),
    ),
}
JUMPS = {(here, there) for path in PATHS.values() for here, there in zip(path, path[1:], strict=False)}


def place(file):
    """Return the path of a file of one of the packages."""
    return (KERNELS if file.startswith("minitorch_kernels") else ROOT) / file


def lines_of(file, definition):
    """Return the first and the last line of a class, function, method or module-level name, counted from 1."""
    body = ast.parse(place(file).read_text()).body
    for part in definition.split("."):
        (node,) = [node for node in body if part in names_of(node)]
        body = getattr(node, "body", [])
    return node.lineno, node.end_lineno


def names_of(node):
    if isinstance(node, ast.Assign):
        return [target.id for target in node.targets if isinstance(target, ast.Name)]
    return [getattr(node, "name", None)]


def position(hop):
    """Return (line, column) of the name of a hop, counted from 1 and 0."""
    first, last = lines_of(hop.file, hop.definition)
    for number, line in enumerate(place(hop.file).read_text().splitlines()[:last], 1):
        column = line.find(hop.after + hop.name)
        if number >= first and column >= 0:
            return number, column + len(hop.after)
    raise AssertionError(f"{hop.definition} in {hop.file} has no {hop.after + hop.name!r}")


def test_the_path_is_short():
    for path in PATHS.values():
        assert len(path) - 1 <= MOST_HOPS
        assert len({hop.file for hop in path}) <= MOST_FILES


def assert_lands(path, line, there):
    """A tool's answer, a file and a line from 1, lies in the definition that is read next, or in its class."""
    assert pathlib.Path(path) == place(there.file)
    first, last = lines_of(there.file, there.definition.split(".")[0])
    assert first <= line <= last


@pytest.mark.parametrize(("here", "there"), sorted(JUMPS), ids=lambda hop: f"{hop.definition}-{hop.name}")
def test_jedi_goes_to_each_definition(here, there):
    jedi = pytest.importorskip("jedi", reason="jedi is not installed")
    project = jedi.Project(ROOT, added_sys_path=[str(ROOT), str(KERNELS)])
    script = jedi.Script(path=place(here.file), project=project)
    (found,) = script.goto(*position(here), follow_imports=True)
    assert_lands(found.module_path, found.line, there)


class LanguageServer:
    """pyright's language server, as an editor talks to it: JSON messages on its standard streams."""

    def __init__(self):
        command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.count = 0
        folders = [{"uri": ROOT.as_uri(), "name": "root"}]
        abilities = {"workspace": {"configuration": True}, "textDocument": {"definition": {}}}
        self.ask("initialize", processId=None, rootUri=ROOT.as_uri(), workspaceFolders=folders, capabilities=abilities)
        self.send(method="initialized", params={})

    def send(self, **message):
        body = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self.process.stdin.write(b"Content-Length: %d\r\n\r\n" % len(body) + body)
        self.process.stdin.flush()

    def receive(self):
        length = 0
        while line := self.process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        assert length, "the language server has ended"
        return json.loads(self.process.stdout.read(length))

    def ask(self, method, **params):
        """Return the answer to a request; the server's own requests are answered on the way."""
        self.count += 1
        self.send(id=self.count, method=method, params=params)
        while True:
            message = self.receive()
            if "method" not in message and message.get("id") == self.count:
                return message["result"]
            if "method" in message and "id" in message:
                self.send(id=message["id"], result=self.settings(message))

    @staticmethod
    def settings(request):
        """Return what an editor would answer: where the packages and the interpreter are."""
        if request["method"] != "workspace/configuration":
            return None
        known = {
            "python": {"pythonPath": sys.executable},
            "python.analysis": {"extraPaths": [str(ROOT), str(KERNELS)], "diagnosticMode": "openFilesOnly"},
        }
        return [known.get(item.get("section"), {}) for item in request["params"]["items"]]

    def definitions(self, hop):
        """Return (path, line from 1) of each definition of a name."""
        line, column = position(hop)
        text = {"uri": place(hop.file).as_uri()}
        opened = {**text, "languageId": "python", "version": 1, "text": place(hop.file).read_text()}
        self.send(method="textDocument/didOpen", params={"textDocument": opened})
        found = self.ask("textDocument/definition", textDocument=text, position={"line": line - 1, "character": column})
        self.send(method="textDocument/didClose", params={"textDocument": text})
        return [(one["uri"].removeprefix("file://"), one["range"]["start"]["line"] + 1) for one in found or []]

    def close(self):
        self.process.kill()
        self.process.communicate()


@pytest.fixture(scope="module")
def server():
    pytest.importorskip("pyright", reason="pyright is not installed")
    version = subprocess.run([sys.executable, "-m", "pyright", "--version"], capture_output=True, check=False)
    if version.returncode != 0:  # on its first run it may have to fetch Node.js or itself
        pytest.skip("pyright does not start here: it needs Node.js, or the network to fetch it")
    with contextlib.closing(LanguageServer()) as started:
        yield started


@pytest.mark.slow
@pytest.mark.parametrize(("here", "there"), sorted(JUMPS), ids=lambda hop: f"{hop.definition}-{hop.name}")
def test_pyright_goes_to_each_definition(server, here, there):
    ((path, line),) = server.definitions(here)
    assert_lands(path, line, there)


@pytest.mark.skipif(not minitorch_kernels.runtime.simd.supports(np.float32), reason="no micro-kernel for this machine")
@pytest.mark.parametrize(
    ("path", "layer", "size"),
    [("indirect", nn.Conv2d(8, 32, 1), 4), ("winograd", nn.Conv2d(64, 64, 3, padding=1), 32)],
)
def test_a_layer_runs_along_the_path(path, layer, size):
    called = []

    def note(frame, event, _):
        if event == "call":
            called.append(frame.f_code.co_name)

    x = Tensor(np.ones((4, layer.in_channels, size, size), np.float32))
    sys.setprofile(note)
    try:
        layer(x)
    finally:
        sys.setprofile(None)
    compiled = {"indirect_gemm", "_by_tiles", "_multiply", "microkernel"}  # Python does not see their calls
    expected = [hop.definition.split(".")[-1] for hop in PATHS[path]]
    expected = [name for name in expected if name not in compiled and name != "TABLE"]
    remaining = iter(called)
    assert all(name in remaining for name in expected), called
