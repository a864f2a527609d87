"""A Hugging Face hub on loopback: as much of it as datasets and models are pushed to and read from.

Written after what huggingface_hub 2.4 and datasets 5.2 ask and what the hub's API documents
(https://huggingface.co/docs/hub/api, https://github.com/git-lfs/git-lfs/blob/main/docs/api). Not
here: the Xet protocol (clients must have HF_HUB_DISABLE_XET), redirects to another host for large
files, pages of listings, limits of rate and of time.
"""

import base64
import hashlib
import json
import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, unquote, urlsplit

from huggingface_hub import constants

TOKEN = "hf_right"
LICENCES = ("mit", "cc-by-4.0")


class Dataset:
    """A repository: refs point to commits, and a commit is all its files."""

    def __init__(self, private):
        self.private = private
        self.commits = {}
        self.refs = {}
        self.commit("main", {".gitattributes": b"*.parquet filter=lfs\n"})

    def commit(self, ref, files):
        listed = "".join(f"{path} {blob_id(found)}\n" for path, found in sorted(files.items()))
        sha = hashlib.sha1(f"{len(self.commits)} {listed}".encode()).hexdigest()
        self.commits[sha] = files
        self.refs[ref] = sha
        return sha

    def sha(self, revision):
        return self.refs.get(revision, revision if revision in self.commits else None)

    @property
    def files(self):
        return self.commits[self.refs["main"]]


class Hub:
    """What the server has, what it was asked, and when it fails."""

    def __init__(self):
        self.datasets = {}
        self.models = {}
        self.blobs = {}  # large files by SHA-256
        self.log = []  # (method, path)
        self.fails = {}  # start of "METHOD path" -> [requests answered before, status]
        self.url = ""

    def asked(self, pattern):
        return [seen for seen in self.log if re.match(pattern, " ".join(seen))]


def is_large(path):
    return path.endswith((".parquet", ".safetensors", ".bin"))


def blob_id(content):
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


def pointer(content):
    return blob_id(f"oid sha256:{hashlib.sha256(content).hexdigest()}".encode())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub

    def log_message(self, *parts):
        pass

    def do_GET(self):
        self.body = self.read_body()
        split = urlsplit(self.path)
        self.query, path = parse_qs(split.query), unquote(split.path)
        self.hub.log.append((self.command, path))
        for start, plan in self.hub.fails.items():
            if f"{self.command} {path}".startswith(start):
                plan[0] -= 1
                if plan[0] < 0:
                    return self.answer({"error": "broken"}, plan[1])
        given = self.headers.get("Authorization")
        if given not in (None, f"Bearer {TOKEN}"):
            return self.refuse(401, message="Invalid credentials in Authorization header")
        self.known = given is not None
        for pattern, method in ROUTES:
            found = re.fullmatch(pattern, f"{self.command.replace('HEAD', 'GET')} {path}")
            if found:
                groups = found.groupdict()
                self.kind = groups.pop("kind", None) or "models"
                return method(self, *groups.values())
        return self.refuse(404)

    def read_body(self):
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    do_HEAD = do_POST = do_PUT = do_GET

    def answer(self, content, status=200, headers=()):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for key, value in dict(headers).items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code="", message="no"):
        headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {})}
        self.answer({"error": message}, status, headers)

    @property
    def repositories(self):
        return {"models": self.hub.models, "datasets": self.hub.datasets}[self.kind]

    def page(self, name):
        return f"{self.hub.url}/{'datasets/' if self.kind == 'datasets' else ''}{name}"

    def dataset(self, name, revision="main"):
        """Return a repository and its commit, or answer that it is not there."""
        found = self.repositories.get(name)
        if found is None or (found.private and not self.known):
            return self.refuse(404 if self.known else 401, "RepoNotFound")
        if found.sha(revision) is None:
            return self.refuse(404, "RevisionNotFound")
        return found, found.sha(revision)

    def create(self):
        asked = json.loads(self.body)
        name = f"{asked['organization']}/{asked['name']}"
        self.kind = f"{asked.get('type', 'model')}s"
        if not self.known:
            return self.refuse(401)
        if asked["organization"] == "others":
            return self.refuse(403, message="You have no rights there")
        answer = {"url": self.page(name)}
        if name in self.repositories:
            return self.answer(answer, 409)
        self.repositories[name] = Dataset(asked.get("visibility") == "private")
        return self.answer(answer)

    def info(self, name, revision="main"):
        if found := self.dataset(name, revision):
            dataset, sha = found
            siblings = [{"rfilename": path} for path in dataset.commits[sha]]
            known = {"id": name, "sha": sha, "private": dataset.private, "siblings": siblings}
            self.answer({**known, "tags": [], "downloads": 0, "likes": 0})

    def tree(self, name, revision, folder=None):
        if found := self.dataset(name, revision):
            files, start = found[0].commits[found[1]], f"{folder}/" if folder else ""
            inside = [path for path in files if path.startswith(start)]
            deep = [path for path in inside if "/" in path[len(start) :]]
            entries = [self.entry(files, path) for path in inside if path not in deep]
            for path in {path[: path.index("/", len(start))] for path in deep}:
                entries.append({"type": "directory", "path": path, "oid": "0" * 40})
            if self.query.get("recursive", ["false"])[0].lower() in ("true", "1"):
                entries += [self.entry(files, path) for path in deep]
            if folder and not inside:
                self.refuse(404, "EntryNotFound")
            else:
                self.answer(entries)

    def paths(self, name, revision):
        if found := self.dataset(name, revision):
            asked = parse_qs(self.body.decode()) or json.loads(self.body)
            files, entries = found[0].commits[found[1]], []
            for path in asked["paths"]:
                if path in files:
                    entries.append(self.entry(files, path))
                elif any(other.startswith(f"{path}/") for other in files):
                    entries.append({"type": "directory", "path": path, "oid": "0" * 40})
            self.answer(entries)

    def entry(self, files, path):
        content = files[path]
        entry = {"type": "file", "path": path, "size": len(content), "oid": blob_id(content)}
        if is_large(path):
            sha256 = hashlib.sha256(content).hexdigest()
            entry["oid"] = pointer(content)
            entry["lfs"] = {"oid": sha256, "size": len(content), "pointerSize": 130}
        return entry

    def validate(self):
        front = re.search(r"^license: (.*)$", json.loads(self.body)["content"], re.MULTILINE)
        if front and front[1] not in LICENCES:
            error = {"message": f'"license" must be one of {", ".join(LICENCES)}'}
            return self.answer({"errors": [error], "warnings": []}, 400)
        return self.answer({"errors": [], "warnings": []})

    def preupload(self, name, revision):
        if not self.known:
            self.refuse(401)
        elif found := self.dataset(name, revision):
            there = found[0].commits[found[1]]
            files = []
            for file in json.loads(self.body)["files"]:
                path, large = file["path"], is_large(file["path"])
                known = {"path": path, "uploadMode": "lfs" if large else "regular"}
                if path in there:
                    whole = there[path]
                    known["oid"] = hashlib.sha256(whole).hexdigest() if large else blob_id(whole)
                files.append({**known, "shouldIgnore": False})
            self.answer({"files": files})

    def batch(self, name):
        if self.dataset(name):
            objects = []
            for item in json.loads(self.body)["objects"]:
                upload = {"href": f"{self.hub.url}/lfs/{item['oid']}"}
                there = item["oid"] in self.hub.blobs
                objects.append({**item, **({} if there else {"actions": {"upload": upload}})})
            self.answer({"objects": objects, "transfer": "basic"})

    def store(self, oid):
        if hashlib.sha256(self.body).hexdigest() != oid:
            return self.refuse(400, message="other contents")
        self.hub.blobs[oid] = self.body
        return self.answer(b"")

    def commit(self, name, revision):
        if not (found := self.dataset(name, revision)):
            return None
        if not self.known:
            return self.refuse(401)
        dataset, sha = found
        header, *lines = [json.loads(line) for line in self.body.splitlines()]
        parent = header["value"].get("parentCommit")
        if parent not in (None, sha):
            return self.refuse(412, message="A commit has happened since")
        files = dict(dataset.commits[sha])
        for line in lines:
            key, value = line["key"], line["value"]
            if key == "deletedFile":
                del files[value["path"]]
            elif key == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            else:
                assert key == "lfsFile"
                files[value["path"]] = self.hub.blobs[value["oid"]]
        ref, answer = revision, {}
        if "create_pr" in self.query:
            ref = f"refs/pr/{len(dataset.refs)}"
            answer["pullRequestUrl"] = f"{self.page(name)}/discussions/{ref[8:]}"
        new = dataset.commit(ref, files)
        url = f"{self.page(name)}/commit/{new}"
        return self.answer({"commitUrl": url, "commitOid": new, **answer})

    def merge(self, name, number):
        if found := self.dataset(name, f"refs/pr/{number}"):
            found[0].commit("main", found[0].commits[found[1]])
            self.answer({})

    def resolve(self, name, revision, path):
        if not (found := self.dataset(name, revision)):
            return None
        files, sha = found[0].commits[found[1]], found[1]
        if path not in files:
            return self.refuse(404, "EntryNotFound")
        content = files[path]
        etag = hashlib.sha256(content).hexdigest() if is_large(path) else blob_id(content)
        headers = {"ETag": f'"{etag}"', "X-Repo-Commit": sha, "Accept-Ranges": "bytes"}
        asked = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or "")
        if asked is None:
            return self.answer(content, headers=headers)
        start, stop = int(asked[1]), min(int(asked[2] or len(content)) + 1, len(content))
        headers["Content-Range"] = f"bytes {start}-{stop - 1}/{len(content)}"
        return self.answer(content[start:stop], 206, headers)


KIND = r"(?P<kind>datasets|models)"
NAME = r"(?P<name>[^/]+/[^/]+)"
ROUTES = [
    (r"POST /api/repos/create", Handler.create),
    (r"POST /api/validate-yaml", Handler.validate),
    (rf"GET /api/{KIND}/{NAME}", Handler.info),
    (rf"GET /api/{KIND}/{NAME}/revision/(?P<revision>.+)", Handler.info),
    (rf"GET /api/{KIND}/{NAME}/tree/(?P<revision>refs/pr/\d+|[^/]+)", Handler.tree),
    (rf"GET /api/{KIND}/{NAME}/tree/(?P<revision>refs/pr/\d+|[^/]+)/(?P<folder>.+)", Handler.tree),
    (rf"POST /api/{KIND}/{NAME}/paths-info/(?P<revision>.+)", Handler.paths),
    (rf"POST /api/{KIND}/{NAME}/preupload/(?P<revision>.+)", Handler.preupload),
    (rf"POST /api/{KIND}/{NAME}/commit/(?P<revision>.+)", Handler.commit),
    (rf"POST /api/{KIND}/{NAME}/discussions/(?P<number>\d+)/merge", Handler.merge),
    (rf"POST /((?P<kind>datasets)/)?{NAME}\.git/info/lfs/objects/batch", Handler.batch),
    (r"PUT /lfs/(?P<oid>\w+)", Handler.store),
    (
        rf"GET /((?P<kind>datasets)/)?{NAME}/resolve/(?P<revision>[^/]+)/(?P<path>.+)",
        Handler.resolve,
    ),
]


@contextmanager
def serve_hub():
    """Run a hub; gives it."""
    hub = Hub()
    handler = type("HubHandler", (Handler,), {"hub": hub})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def only_hub(monkeypatch, folder):
    """Run a hub, and let the clients in this process know of no other, nor of a user's token."""
    with serve_hub() as hub:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for key, value in {
            "ENDPOINT": hub.url,
            "HUGGINGFACE_CO_URL_TEMPLATE": hub.url + "/{repo_id}/resolve/{revision}/{filename}",
            "HF_HUB_CACHE": str(folder / "cache"),
            "HF_TOKEN_PATH": str(folder / "token"),
            "HF_HUB_OFFLINE": False,
            "HF_HUB_DISABLE_XET": True,
        }.items():
            monkeypatch.setattr(constants, key, value)
        yield hub
