"""A server on this machine that speaks W&B's protocol as far as the client of wandb 0.31 asks for it.

It answers the calls of a run (init, resume, history, files, artifacts, alerts, finish), of the public API (look
up, delete) and of charts and workspaces, keeps what a run would hold, and records every request. It can refuse,
fail or be slow.
"""

import base64
import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any

KEY = "0123456789" * 4
"""What W&B takes for an API key."""
ENTITY = "team"


@dataclass
class Remote:
    """A run as the server has it.

    Attributes:
        name: Its id.
        fields: What `UpsertBucket` set: displayName, groupName, jobType, tags, notes, config, commit ...
        config: Its config, parsed.
        history: Its lines, parsed, in the order of the file.
        summary: Its final numbers.
        output: Console lines.
        exit_code: How it ended (None: it did not).
        preempting: Whether it said that it would be stopped.
        files: Names of uploaded files.
    """

    name: str
    fields: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    output: list[str] = field(default_factory=list)
    exit_code: int | None = None
    preempting: bool = False
    files: set[str] = field(default_factory=set)

    @property
    def state(self) -> str:
        """As W&B's page shows it, once a run that says nothing any more counts as ended."""
        if self.exit_code is None:
            return "crashed"
        if self.exit_code and self.preempting:
            return "preempted"
        return "failed" if self.exit_code else "finished"

    def values(self, key: str) -> list[tuple[int, Any]]:
        """(step, value) of one metric, by its own step."""
        return [(line["step"], line[key]) for line in self.history if key in line]


@dataclass
class FakeWandB:
    """What the server holds and how it behaves.

    Attributes:
        url: Where it listens.
        runs: By id.
        deleted: Ids of runs that were deleted; W&B never gives such an id again.
        requests: (operation or path, body) of every request, in order.
        artifacts: What was committed: type, name, run, digest, aliases, metadata.
        uploads: Body of every uploaded file by its path.
        charts: Custom charts by name: the Vega-Lite spec.
        views: Workspaces: what `UpsertView2` got.
        alerts: (title, text).
        refuse: Status with which everything is refused (None: nothing is).
        delay: Seconds before each answer.
    """

    url: str = ""
    runs: dict[str, Remote] = field(default_factory=dict)
    deleted: list[str] = field(default_factory=list)
    requests: list[tuple[str, bytes]] = field(default_factory=list)
    artifacts: list[dict[str, Any]] = field(default_factory=list)
    uploads: dict[str, bytes] = field(default_factory=dict)
    charts: dict[str, Any] = field(default_factory=dict)
    views: list[dict[str, Any]] = field(default_factory=list)
    alerts: list[tuple[str, str]] = field(default_factory=list)
    refuse: int | None = None
    delay: float = 0.0
    unknown: list[str] = field(default_factory=list)
    numbers: Any = field(default_factory=lambda: count(1))

    @property
    def environment(self) -> dict[str, str]:
        """What points the W&B client here, and keeps it from going anywhere else."""
        return {
            "WANDB_BASE_URL": self.url,
            "WANDB_API_KEY": KEY,
            "WANDB_MODE": "online",
            "WANDB_ERROR_REPORTING": "false",
            "NO_PROXY": "127.0.0.1",
        }

    def operations(self) -> list[str]:
        """Names of the requests so far."""
        return [name for name, _ in self.requests]

    def sent(self) -> bytes:
        """Every request body one after the other."""
        return b"\n".join(body for _, body in self.requests)

    # GraphQL

    def answer(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        """What the server answers to a query; the operation is the name that the query gives itself."""
        named = re.search(r"(?:query|mutation)\s+(\w+)", query)
        operation = named.group(1) if named else "anonymous"
        handler = getattr(self, f"_on_{operation}", None)
        if handler is None:
            self.unknown.append(operation)
            return {}
        return handler(variables)

    def _on_Viewer(self, _: dict[str, Any]) -> dict[str, Any]:
        viewer = {
            "id": "u",
            "entity": ENTITY,
            "username": "me",
            "name": "me",
            "email": "me@x",
            "admin": False,
        }
        return {"viewer": {**viewer, "flags": "{}", "teams": {"edges": []}, "apiKeys": {"edges": []}}}

    _on_GetDefaultEntity = _on_GetViewer = _on_Viewer

    def _on_ServerFeaturesQuery(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"serverInfo": {"features": []}}

    def _on_RunResumeStatus(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(asked["name"])
        return {
            "model": {
                "id": "p",
                "name": asked["project"],
                "entity": _entity(),
                "bucket": run and self._bucket(run),
            }
        }

    def _on_UpsertBucket(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked.get("name") or asked["id"]
        if name in self.deleted:
            raise PermissionError(f"run {name} was previously created and deleted; try a new run name")
        fresh = name not in self.runs
        run = self.runs.setdefault(name, Remote(name))
        asked = {"displayName": asked.get("display_name"), **asked}  # as the public API calls it
        run.fields |= {key: value for key, value in asked.items() if value is not None}
        if asked.get("config"):
            config = json.loads(asked["config"])
            run.config = {
                k: v["value"] if isinstance(v, dict) and "value" in v else v for k, v in config.items()
            }
        if asked.get("summaryMetrics"):
            run.summary = json.loads(asked["summaryMetrics"])
        return {"upsertBucket": {"bucket": self._bucket(run), "inserted": fresh}}

    def _bucket(self, run: Remote) -> dict[str, Any]:
        config = json.dumps({key: {"value": value} for key, value in run.config.items()})
        tail = [json.dumps(line) for line in run.history[-1:]]
        lines = {
            "historyLineCount": len(run.history),
            "eventsLineCount": len(run.events),
            "logLineCount": len(run.output),
        }
        about = {
            "id": run.name, "name": run.name, "displayName": run.fields.get("displayName", run.name),
            "config": config, "summaryMetrics": json.dumps(run.summary), "tags": run.fields.get("tags") or [],
            "historyTail": json.dumps(tail), "eventsTail": json.dumps(run.events[-1:]), "state": run.state,
            "group": run.fields.get("groupName"), "jobType": run.fields.get("jobType"), "projectId": "1",
            "historyKeys": None, "sweepName": None, "wandbConfig": '{"t":1}', "user": {"name": "me", "username": "me"},
            "createdAt": "2026-01-01T00:00:00", "heartbeatAt": "2026-01-01T00:00:00", "readOnly": False,
            "commit": run.fields.get("commit"), "description": "", "notes": "", "systemMetrics": "{}",
        }  # fmt: skip
        return {**about, **lines, "project": {"id": "p", "name": "mixsd-bench", "entity": _entity()}}

    def _on_RunStoppedStatus(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"run": {"stopped": False}}}

    def _on_CreateRunFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(asked["run"])
        if run:
            run.files |= set(asked["files"])
        files = [
            {"name": name, "uploadUrl": f"{self.url}/upload/{asked['run']}/{name}"} for name in asked["files"]
        ]
        return {"createRunFiles": {"runID": asked["run"], "uploadHeaders": [], "files": files}}

    def _on_GetRuns(self, asked: dict[str, Any]) -> dict[str, Any]:
        wanted = json.loads(asked.get("filters") or "{}")
        of = next(iter(re.findall(r'experiment_name(?:\.value)?": "([^"]+)"', json.dumps(wanted))), None)
        found = [run for run in self.runs.values() if of in (None, run.config.get("experiment_name"))]
        edges = [{"node": self._bucket(run), "cursor": run.name} for run in found]
        page = {"endCursor": None, "hasNextPage": False}
        return {
            "project": {
                "internalId": "1",
                "runCount": len(found),
                "readOnly": False,
                "runs": {"edges": edges, "pageInfo": page},
            }
        }

    _on_Runs = _on_LightweightRuns = _on_GetLightRuns = _on_GetRuns

    def _on_Run(self, asked: dict[str, Any]) -> dict[str, Any]:
        run = self.runs.get(asked["name"])
        return {"project": {"internalId": "1", "run": run and self._bucket(run)}}

    _on_GetRun = _on_Run

    def _on_DeleteRun(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.runs.pop(asked["id"], None)
        self.deleted.append(asked["id"])
        return {"deleteRun": {"clientMutationId": None}}

    # Artifacts

    def _on_ArtifactType(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"project": {"artifact": None}}

    def _on_CreateArtifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked.get("input", asked)
        number = next(self.numbers)
        aliases = [alias.get("alias") for alias in given.get("aliases") or []]
        made = {
            "id": f"a{number}", "type": given.get("artifactTypeName"), "name": (given.get("artifactCollectionNames") or [given.get("artifactCollectionName")])[0],
            "run": given.get("runName"), "digest": given.get("digest"), "aliases": aliases, "metadata": given.get("metadata"), "state": "PENDING",
        }  # fmt: skip
        self.artifacts.append(made)
        sequence = {"id": "s", "latestArtifact": None}
        return {
            "createArtifact": {
                "artifact": {"id": made["id"], "state": "PENDING", "artifactSequence": sequence}
            }
        }

    def _on_CreateArtifactManifest(self, asked: dict[str, Any]) -> dict[str, Any]:
        number = next(self.numbers)
        given = asked.get("input", asked)
        file = {
            "id": f"f{number}",
            "name": "m",
            "displayName": "m",
            "uploadUrl": f"{self.url}/upload/manifest/{number}",
            "uploadHeaders": [],
        }
        return {
            "createArtifactManifest": {
                "artifactManifest": {"id": f"m{number}", "file": file, "artifactID": given.get("artifactID")}
            }
        }

    _on_UpdateArtifactManifest = _on_CreateArtifactManifest

    def _on_CreateArtifactFiles(self, asked: dict[str, Any]) -> dict[str, Any]:
        given = asked.get("artifactFiles") or asked["input"]["artifactFiles"]
        edges = [
            {"node": {
                "id": f"f{next(self.numbers)}", "name": file["name"], "displayName": file["name"],
                "uploadUrl": f"{self.url}/upload/artifact/{file['artifactID']}/{file['name']}", "uploadHeaders": [],
                "storagePath": "s", "uploadMultipartUrls": None, "artifact": {"id": file["artifactID"]},
            }}
            for file in given
        ]  # fmt: skip
        return {"createArtifactFiles": {"files": {"edges": edges}}}

    def _on_CommitArtifact(self, asked: dict[str, Any]) -> dict[str, Any]:
        wanted = asked.get("artifactID") or asked["input"]["artifactID"]
        for made in self.artifacts:
            if made["id"] == wanted:
                made["state"] = "COMMITTED"
        return {"commitArtifact": {"artifact": {"id": wanted, "digest": "d"}}}

    # Alerts, charts, workspaces

    def _on_NotifyScriptableRunAlert(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.alerts.append((asked.get("title", ""), asked.get("text", "")))
        return {"notifyScriptableRunAlert": {"success": True}}

    def _on_CreateCustomChart(self, asked: dict[str, Any]) -> dict[str, Any]:
        name = asked["chartName"]
        self.charts[name] = json.loads(asked["spec"])
        return {"createCustomChart": {"chart": {"id": name}}}

    def _on_UpsertView2(self, asked: dict[str, Any]) -> dict[str, Any]:
        self.views.append(asked)
        view = {
            "id": base64.b64encode(b"View:1").decode(),
            "type": "project-view",
            "name": "v",
            "displayName": asked.get("displayName"),
        }
        return {
            "upsertView": {
                "view": {**view, "description": "", "spec": asked.get("spec"), "updatedAt": "2026-01-01"},
                "inserted": True,
            }
        }

    # The stream of a run

    def take_stream(self, name: str, body: dict[str, Any]) -> None:
        """What `file_stream` does to a run: each file is written from the line that the client names."""
        run = self.runs.setdefault(name, Remote(name))
        for file, part in (body.get("files") or {}).items():
            lines, offset = part["content"], part["offset"]
            if file == "wandb-history.jsonl":
                run.history[offset : offset + len(lines)] = [json.loads(line) for line in lines]
            elif file == "wandb-events.jsonl":
                run.events[offset : offset + len(lines)] = lines
            elif file == "wandb-summary.json":
                run.summary = json.loads(lines[-1])
            elif file == "output.log":
                run.output[offset : offset + len(lines)] = lines
        run.preempting |= bool(body.get("preempting"))
        if body.get("complete"):
            run.exit_code = body.get("exitcode", 0)
        else:
            run.exit_code = None


def _entity() -> dict[str, Any]:
    return {"name": ENTITY, "id": "e"}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Any

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is told."""

    def _body(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _reply(self, status: int, answer: Any = None) -> None:
        content = json.dumps(answer if answer is not None else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _answered(self, name: str, body: bytes) -> bool:
        """Record a request; True where the server's mood has answered it."""
        fake: FakeWandB = self.server.fake
        with self.server.lock:
            fake.requests.append((name, body))
        time.sleep(fake.delay)
        if fake.refuse:
            self._reply(fake.refuse, {"errors": [{"message": "refused"}], "error": "refused"})
            return True
        return False

    def do_POST(self) -> None:
        """GraphQL, and the stream of a run."""
        fake, body = self.server.fake, self._body()
        if self.path.endswith("/graphql"):
            asked = json.loads(body)
            named = re.search(r"(?:query|mutation)\s+(\w+)", asked["query"])
            if not self._answered(named.group(1) if named else "anonymous", body):
                with self.server.lock:
                    try:
                        self._reply(200, {"data": fake.answer(asked["query"], asked.get("variables") or {})})
                    except PermissionError as error:
                        self._reply(409, {"errors": [{"message": str(error)}]})
                    except Exception as error:  # noqa: BLE001 - a client would try again for minutes
                        fake.unknown.append(f"{type(error).__name__} {error} in {body[:2000]!r}")
                        self._reply(400, {"errors": [{"message": str(error)}]})
            return
        if self._answered(self.path, body):
            return
        if self.path.endswith("/file_stream"):
            with self.server.lock:
                fake.take_stream(self.path.split("/")[-2], json.loads(body))
        self._reply(200)

    def do_PUT(self) -> None:
        """An upload."""
        body = self._body()
        if not self._answered(self.path, body):
            self.server.fake.uploads[self.path] = body
            self._reply(200)

    def do_GET(self) -> None:
        """Anything else that is asked."""
        if not self._answered(self.path, b""):
            self._reply(200)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no error of the server's."""


@contextmanager
def wandb_server() -> Iterator[FakeWandB]:
    """A server that runs until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    fake = FakeWandB(url=f"http://127.0.0.1:{server.server_port}")
    server.fake, server.lock = fake, threading.RLock()  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()
