"""A client of pyright's language server, as far as completion needs it."""

import json
import os
import subprocess
import sys


class LanguageServer:
    """The server that editors such as VS Code ask, on the programs of one folder.

    Parameters
    ----------
    folder : Path
        With a ``pyrightconfig.json``.
    """

    def __init__(self, folder):
        command = [sys.executable, "-m", "pyright.langserver", "--stdio"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        self._process = subprocess.Popen(command, **pipes)
        self._folder, self._count = folder, 0
        root = {"uri": folder.as_uri(), "name": "programs"}
        self._ask("initialize", processId=os.getpid(), rootUri=root["uri"], workspaceFolders=[root], capabilities={})
        self._send(method="initialized", params={})

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self._process.kill()
        self._process.communicate()

    def complete(self, program):
        """Return the names that the server offers at the end of a program."""
        uri = (self._folder / f"program{self._count}.py").as_uri()
        document = {"uri": uri, "languageId": "python", "version": 1, "text": program}
        self._send(method="textDocument/didOpen", params={"textDocument": document})
        end = {"line": program.count("\n"), "character": len(program.rpartition("\n")[2])}
        found = self._ask("textDocument/completion", textDocument={"uri": uri}, position=end)
        return [item["label"] for item in (found["items"] if isinstance(found, dict) else found)]

    def _ask(self, method, **params):
        self._count += 1
        self._send(id=self._count, method=method, params=params)
        while (message := self._receive()).get("id") != self._count or "method" in message:
            if "method" in message and "id" in message:  # a question of the server's own
                count = len(message.get("params", {}).get("items", ()))
                self._send(id=message["id"], result=[{}] * count if count else None)
        return message["result"]

    def _send(self, **message):
        text = json.dumps({"jsonrpc": "2.0", **message}).encode()
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        self._process.stdin.flush()

    def _receive(self):
        length = 0
        while line := self._process.stdout.readline().strip():
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        if not length:
            raise EOFError("the language server has ended")
        return json.loads(self._process.stdout.read(length))
