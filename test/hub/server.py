#!/usr/bin/env python3
"""A small model hub for tests: speaks the hub's real protocol on 127.0.0.1, standard library only.

Two origins: the hub itself, and a "CDN" on another port that serves large files from signed
addresses which expire. A third port is a plain HTTP proxy; with --cert and --key a fourth serves the
hub over TLS. The test drives it by lines of JSON on stdin; every line is answered by one on stdout:

  {"cmd": "fault", ...}   misbehave for matching requests (see FAULTS below)
  {"cmd": "set", ...}     change a setting (see State)
  {"cmd": "move", "repo": "org/moves"}   the branch main moves to the next commit
  {"cmd": "log"}          the requests since the last "log"
  {"cmd": "reset"}        no faults, first commits, empty log

FAULTS: {"where": "api|hub|cdn", "path": substring, "method": "GET", "do": kind, "count": n, ...}
  status     answer with "status", "headers", "body"
  drop       close after "after" bytes of the body
  stall      send "after" bytes, then nothing until the client leaves
  slow       pause "delay" seconds after each "after" bytes
  flip       one wrong byte in the content
  lie_size   Content-Length differs from the truth by "by"
  short      end early at "after" bytes, without a Content-Length
  no_range   ignore Range, answer 200 with everything
  bad_range  answer 206, but from byte 0
  no_commit  no X-Repo-Commit
  commit     X-Repo-Commit "commit"
  gzip       Content-Encoding: gzip
  html       a login page instead of the answer
  move       the branch of "repo" moves first, then the answer is the usual one
  headers    the usual answer with more "headers"
"""
import argparse, base64, hashlib, http.client, json, os, random, select, socket, ssl, sys, threading, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, quote, unquote, urlsplit

FOLDERS = []  # "org/name=folder"
TOKEN = "hf_goodtoken"
POOR_TOKEN = "hf_poortoken"  # valid, but was granted nothing


def noise(seed, size):
    return random.Random(seed).randbytes(size)


def blob_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class Commit:
    def __init__(self, repo, number, files):
        self.sha = hashlib.sha1(f"{repo}/{number}".encode()).hexdigest()
        self.files = files  # path -> (bytes, is_lfs)


class Repo:
    def __init__(self, name, commits, **facts):
        self.name = name
        self.commits = [Commit(name, i, files) for i, files in enumerate(commits)]
        self.head = 0
        self.tags = {"v1.0": 0}
        self.facts = facts

    def find(self, revision):
        if revision in ("main", "refs/pr/1"):
            return self.commits[self.head]
        if revision in self.tags:
            return self.commits[self.tags[revision]]
        for commit in self.commits:
            if len(revision) >= 5 and commit.sha.startswith(revision):
                return commit
        return None


def small_files(word, weights=300_000):
    config = {"architectures": ["BertModel"], "model_type": "bert", "hidden_size": 8, "word": word}
    return {
        "config.json": (json.dumps(config).encode(), False),
        "tokenizer.json": (json.dumps({"word": word, "pad": "x" * 5000}).encode(), False),
        "tokenizer_config.json": (b'{"do_lower_case": true}', False),
        "1_Pooling/config.json": (b'{"pooling_mode_mean_tokens": true}', False),
        "modules.json": (b"[]", False),
        "model.safetensors": (noise(word, weights), True),
        "README.md": (b"# " + word.encode(), False),
        "flax_model.msgpack": (noise("flax", 1000), True),
        ".gitattributes": (b"*.safetensors filter=lfs", False),
    }


def folder_files(folder):
    files = {}
    for parent, _, names in os.walk(folder):
        for name in names:
            full = os.path.join(parent, name)
            with open(full, "rb") as file:
                is_lfs = name.endswith((".safetensors", ".bin", ".onnx"))
                files[os.path.relpath(full, folder)] = (file.read(), is_lfs)
    return files


def folder_repo(name, folder):
    files = folder_files(folder)
    config = json.loads(files.get("config.json", (b"{}", False))[0])
    facts = {key: config.get(key) for key in ("model_type", "architectures")}
    return Repo(name, [files], config=facts, downloads=1234567, likes=890)


def build_repos():
    shards = dict(small_files("shards"))
    del shards["model.safetensors"]
    names = [f"model-{i:05d}-of-00003.safetensors" for i in range(1, 4)]
    for i, name in enumerate(names):
        shards[name] = (noise(name, 50_000 + i), True)
    index = {"weight_map": {f"w{i}": names[i % 3] for i in range(9)}}
    shards["model.safetensors.index.json"] = (json.dumps(index).encode(), False)
    odd = dict(small_files("odd", 1000))
    odd["added_tokens.json"] = (b"", False)
    odd["chat_template one+two#3.jinja"] = (b"x", False)
    # The second commit shares everything but the weights and the configuration.
    moved = dict(small_files("first"))
    moved["model.safetensors"] = (noise("second", 310_000), True)
    moved["config.json"] = (b'{"model_type": "bert", "word": "second"}', False)
    big = small_files("big", 6_000_000)
    repos = [
        Repo("org/tiny", [small_files("tiny")], pipeline_tag="sentence-similarity",
             library_name="sentence-transformers", downloads=12345, likes=6),
        Repo("bare", [small_files("bare", 2000)], pipeline_tag="fill-mask", downloads=99, likes=1),
        Repo("org/moves", [small_files("first"), moved], downloads=50),
        Repo("org/big", [big], downloads=7),
        Repo("org/shards", [shards], downloads=8),
        Repo("org/odd", [odd], downloads=9),
        Repo("org/noweights", [{"config.json": (b"{}", False), "README.md": (b"x", False)}]),
        Repo("org/private", [small_files("private", 2000)], private=True),
        Repo("org/gated", [small_files("gated", 2000)], gated="manual"),
        Repo("org/disabled", [small_files("off", 2000)], disabled=True),
        Repo("org/newname", [small_files("renamed", 3000)], downloads=3),
    ]
    repos += [folder_repo(*text.split("=", 1)) for text in FOLDERS]
    return {repo.name: repo for repo in repos}


class State:
    def __init__(self):
        self.lock = threading.Lock()
        self.reset()

    def reset(self):
        self.repos = build_repos()
        self.renamed = {"org/oldname": "org/newname"}
        self.faults = []
        self.log = []
        self.cdn_uses = 0  # how often one signed address works; 0 = always
        self.has_blobs = True  # the description lists sizes and digests
        self.has_tree = True
        self.fake_size = {}  # path -> size that the listing claims
        self.fake_hash = {}  # path -> sha256 that the listing claims
        self.extra_files = []  # names that the listing adds
        self.page = 100
        self.signed = {}

    def fault(self, where, method, path):
        with self.lock:
            for fault in self.faults:
                if fault["where"] != where or fault.get("path", "") not in path:
                    continue
                if fault.get("method", method) != method:
                    continue
                if fault.get("skip", 0) > 0:
                    fault["skip"] -= 1
                    continue
                if fault.get("count", 1) <= 0:
                    continue
                fault["count"] = fault.get("count", 1) - 1
                return fault
        return None


STATE = State()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    where = "hub"

    def log_message(self, *args):
        pass

    def note(self):
        entry = {"where": self.where, "method": self.command, "path": self.path}
        for name in ("Authorization", "Range", "User-Agent", "Accept-Encoding", "Host"):
            if self.headers.get(name):
                entry[name.lower()] = self.headers[name]
        with STATE.lock:
            STATE.log.append(entry)

    def answer(self, status, headers=(), body=b"", fault=None):
        self.send_response(status)
        sent = dict(headers)
        sent.setdefault("X-Request-Id", "Root=1-test")
        if fault and fault["do"] == "headers":
            sent.update(fault["headers"])
        sent.setdefault("Content-Length", str(len(body)))
        for name, value in sent.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def misbehave(self, fault):
        """Answers that replace the usual one. True when there was one."""
        do = fault["do"] if fault else None
        if do == "status":
            self.answer(fault["status"], fault.get("headers", {}), fault.get("body", "").encode())
        elif do == "html":
            self.answer(200, {"Content-Type": "text/html"}, b"<html>Please log in</html>")
        elif do == "move":
            STATE.repos[fault["repo"]].head = 1
            return False
        else:
            return False
        return True

    def hang_up(self):
        self.close_connection = True
        try:
            self.connection.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def content(self, data, headers, fault):
        """Sends a file with Range, length and the faults that concern a body."""
        do = fault["do"] if fault else None
        total = len(data)
        start = 0
        asked = self.headers.get("Range")
        if asked and do != "no_range" and self.command == "GET":
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start = int(first)
            stop = min(int(last) + 1, total) if last else total
            if start >= total:
                self.answer(416, {"Content-Range": f"bytes */{total}"})
                return
            if do == "bad_range":
                start = 0
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{total}"
            data = data[start:stop]
            self.send_response(206)
        else:
            self.send_response(200)
        if do == "flip":
            data = bytes([data[0] ^ 1]) + data[1:]
        if do == "gzip":
            headers["Content-Encoding"] = "gzip"
        if do == "headers":
            headers.update(fault["headers"])
        length = len(data) + (fault.get("by", 0) if do == "lie_size" else 0)
        if do == "short":
            self.close_connection = True
            headers["Connection"] = "close"
        else:
            headers["Content-Length"] = str(length)
        headers.setdefault("Accept-Ranges", "bytes")
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        if do in ("drop", "stall", "short"):
            self.wfile.write(data[: fault["after"]])
            self.wfile.flush()
            if do == "stall":
                self.connection.settimeout(60)
                try:
                    self.connection.recv(1)
                except OSError:
                    pass
            self.hang_up()
            return
        if do == "lie_size" and fault["by"] > 0:
            data += b"x" * fault["by"]
        if do == "lie_size" and fault["by"] < 0:
            data = data[: fault["by"]]
        step = fault["after"] if do == "slow" else len(data) or 1
        for at in range(0, len(data), step):
            self.wfile.write(data[at : at + step])
            self.wfile.flush()
            if do == "slow":
                time.sleep(fault["delay"])

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        self.note()
        try:
            self.route()
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True


class HubHandler(Handler):
    where = "hub"

    def refuse(self, status, code, message):
        headers = {"X-Error-Message": message}
        if code:
            headers["X-Error-Code"] = code
        self.answer(status, headers, json.dumps({"error": message}).encode())

    def token(self):
        return (self.headers.get("Authorization") or "").removeprefix("Bearer ").strip()

    def allowed(self, name, is_file):
        """The repository, or None after having refused like the hub."""
        token = self.token()
        if token and token not in (TOKEN, POOR_TOKEN):
            self.refuse(401, None, "Invalid credentials in Authorization header")
            return None
        repo = STATE.repos.get(name)
        if not repo or (repo.facts.get("private") and token != TOKEN):
            if token:
                self.refuse(404, "RepoNotFound", "Repository not found")
            else:
                self.refuse(401, "RepoNotFound", "Invalid username or password.")
            return None
        if is_file and repo.facts.get("gated") and token != TOKEN:
            self.refuse(403 if token else 401, "GatedRepo",
                        f"Access to model {name} is restricted.")
            return None
        if is_file and repo.facts.get("disabled"):
            self.refuse(403, None, "Access to this resource is disabled.")
            return None
        return repo

    def route(self):
        path = urlsplit(self.path).path
        where = "api" if path.startswith("/api/") and "/resolve-cache/" not in path else "hub"
        fault = STATE.fault(where, self.command, unquote(path))
        if self.misbehave(fault):
            return
        for old, new in STATE.renamed.items():
            for form in (f"/api/models/{old}/", f"/{old}/resolve/"):
                if path.startswith(form):
                    self.answer(307, {"Location": self.path.replace(old, new, 1)})
                    return
        parts = path.strip("/").split("/")
        if path == "/api/whoami-v2":
            self.whoami()
        elif path == "/api/models":
            self.search()
        elif parts[:2] == ["api", "models"] and "revision" in parts:
            at = parts.index("revision")
            self.describe("/".join(parts[2:at]), unquote("/".join(parts[at + 1 :])), fault)
        elif parts[:2] == ["api", "models"] and "tree" in parts:
            at = parts.index("tree")
            self.tree("/".join(parts[2:at]), unquote(parts[at + 1]))
        elif parts[:3] == ["api", "resolve-cache", "models"]:
            self.small_file(parts, fault)
        elif parts[:2] == ["api", "models"]:
            self.describe("/".join(parts[2:]), "main", fault)
        elif "resolve" in parts:
            at = parts.index("resolve")
            self.resolve("/".join(parts[:at]), unquote(parts[at + 1]),
                         unquote("/".join(parts[at + 2 :])), fault)
        else:
            self.refuse(404, None, "Not found")

    def whoami(self):
        if self.token() in (TOKEN, POOR_TOKEN):
            self.answer(200, {}, json.dumps({"name": "tester", "type": "user"}).encode())
        else:
            self.refuse(401, None, "Invalid credentials in Authorization header")

    def facts(self, repo):
        facts = {"private": False, "gated": False, "disabled": False, "tags": ["license:mit"],
                 "downloads": 0, "likes": 0, "lastModified": "2025-01-02T03:04:05.000Z",
                 "id": repo.name, "modelId": repo.name,
                 "config": {"model_type": "bert", "architectures": ["BertModel"]}}
        facts.update(repo.facts)
        return facts

    def search(self):
        query = parse_qs(urlsplit(self.path).query)
        word = query.get("search", [""])[0]
        limit = min(int(query.get("limit", ["10"])[0]), STATE.page)
        start = int(query.get("cursor", ["0"])[0])
        found = [r for r in STATE.repos.values() if word in r.name and not r.facts.get("private")]
        if "pipeline_tag" in query:
            found = [r for r in found if r.facts.get("pipeline_tag") == query["pipeline_tag"][0]]
        if query.get("sort") == ["downloads"]:
            found.sort(key=lambda r: -r.facts.get("downloads", 0))
        headers = {}
        if start + limit < len(found):
            base = f"http://{self.headers['Host']}{urlsplit(self.path).path}"
            headers["Link"] = (f'<{base}?search={quote(word)}&limit={limit}'
                               f'&cursor={start + limit}>; rel="next"')
        page = [self.facts(r) for r in found[start : start + limit]]
        self.answer(200, headers, json.dumps(page).encode())

    def describe(self, name, revision, fault):
        repo = self.allowed(name, False)
        if not repo:
            return
        commit = repo.find(revision)
        if not commit:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        blobs = "blobs=true" in self.path and STATE.has_blobs
        siblings = []
        for path, (data, is_lfs) in commit.files.items():
            entry = {"rfilename": path}
            if blobs:
                size = STATE.fake_size.get(path, len(data))
                digest = STATE.fake_hash.get(path, hashlib.sha256(data).hexdigest())
                entry.update(size=size, blobId=blob_sha1(data))
                if is_lfs:
                    entry["lfs"] = {"sha256": digest, "size": size, "pointerSize": 134}
            siblings.append(entry)
        siblings += [{"rfilename": path, "size": 1} for path in STATE.extra_files]
        facts = self.facts(repo)
        facts.update(sha=commit.sha, siblings=siblings)
        self.answer(200, {"Content-Type": "application/json"}, json.dumps(facts).encode(), fault)

    def tree(self, name, revision):
        repo = self.allowed(name, False)
        if not repo:
            return
        commit = repo.find(revision)
        if not commit or not STATE.has_tree:
            self.refuse(404, "RevisionNotFound" if not commit else "EntryNotFound", "no tree")
            return
        entries = []
        for path, (data, is_lfs) in sorted(commit.files.items()):
            entry = {"type": "file", "path": path, "size": len(data), "oid": blob_sha1(data)}
            if is_lfs:
                entry["lfs"] = {"oid": hashlib.sha256(data).hexdigest(), "size": len(data),
                                "pointerSize": 134}
            entries.append(entry)
        start = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        headers = {}
        if start + STATE.page < len(entries):
            base = f"http://{self.headers['Host']}{urlsplit(self.path).path}"
            headers["Link"] = f'<{base}?recursive=true&cursor={start + STATE.page}>; rel="next"'
        self.answer(200, headers, json.dumps(entries[start : start + STATE.page]).encode())

    def commit_headers(self, commit, fault):
        do = fault["do"] if fault else None
        if do == "no_commit":
            return {}
        return {"X-Repo-Commit": fault["commit"] if do == "commit" else commit.sha}

    def resolve(self, name, revision, path, fault):
        repo = self.allowed(name, True)
        if not repo:
            return
        commit = repo.find(revision)
        if not commit:
            self.refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return
        if path not in commit.files:
            self.refuse(404, "EntryNotFound", "Entry not found")
            return
        data, is_lfs = commit.files[path]
        headers = self.commit_headers(commit, fault)
        if fault and fault["do"] == "headers":
            headers.update(fault["headers"])
        if not is_lfs:
            # Small files move to a cache on the same host, by a relative address.
            target = f"/api/resolve-cache/models/{name}/{commit.sha}/{quote(path)}"
            headers.update({"Location": target, "ETag": f'"{blob_sha1(data)}"',
                            "X-Linked-Size": str(len(data))})
            self.answer(307, headers)
            return
        headers["X-Linked-Size"] = str(len(data))
        headers["X-Linked-Etag"] = f'"{hashlib.sha256(data).hexdigest()}"'
        headers["ETag"] = '"' + "0" * 32 + '"'
        signature = base64.urlsafe_b64encode(os.urandom(12)).decode()
        with STATE.lock:
            STATE.signed[signature] = STATE.cdn_uses or -1
        headers["Location"] = (f"http://localhost:{PORTS['cdn']}/{name}/{commit.sha}/"
                               f"{quote(path)}?Expires=1&Signature={signature}")
        self.answer(302, headers, b"Found")

    def small_file(self, parts, fault):
        split = next(i for i, p in enumerate(parts) if len(p) == 40)
        repo = self.allowed("/".join(parts[3:split]), True)
        if not repo:
            return
        commit = repo.find(parts[split])
        data, _ = commit.files[unquote("/".join(parts[split + 1 :]))]
        headers = self.commit_headers(commit, fault)
        headers["ETag"] = f'"{blob_sha1(data)}"'
        self.content(data, headers, fault)


class CdnHandler(Handler):
    where = "cdn"

    def route(self):
        split = urlsplit(self.path)
        fault = STATE.fault("cdn", self.command, unquote(split.path))
        if self.misbehave(fault):
            return
        signature = parse_qs(split.query).get("Signature", [""])[0]
        with STATE.lock:
            uses = STATE.signed.get(signature, 0)
            if uses > 0:
                STATE.signed[signature] = uses - 1
        if uses == 0:
            self.answer(403, {}, b"<Error><Code>AccessDenied</Code>Request has expired</Error>")
            return
        parts = split.path.strip("/").split("/")
        at = next(i for i, p in enumerate(parts) if len(p) == 40)
        commit = STATE.repos["/".join(parts[:at])].find(parts[at])
        data, _ = commit.files[unquote("/".join(parts[at + 1 :]))]
        self.content(data, {"ETag": '"' + "0" * 32 + '"'}, fault)


class ProxyHandler(Handler):
    where = "proxy"

    def route(self):
        split = urlsplit(self.path)
        fault = STATE.fault("proxy", self.command, self.path)
        if self.misbehave(fault):
            return
        connection = http.client.HTTPConnection(split.hostname, split.port, timeout=20)
        target = split.path + ("?" + split.query if split.query else "")
        headers = {k: v for k, v in self.headers.items() if not k.lower().startswith("proxy-")}
        connection.request(self.command, target, headers=headers)
        response = connection.getresponse()
        body = response.read()
        self.send_response(response.status)
        for name, value in response.getheaders():
            if name.lower() not in ("server", "date", "transfer-encoding", "connection"):
                self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_CONNECT(self):
        """A tunnel: bytes both ways until one side hangs up."""
        self.note()
        if self.misbehave(STATE.fault("proxy", self.command, self.path)):
            return
        host, _, port = self.path.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as far:
            self.send_response(200)
            self.end_headers()
            self.wfile.flush()
            ends = {self.connection: far, far: self.connection}
            while True:
                for end in select.select(list(ends), [], [], 20)[0] or [None]:
                    data = end.recv(65536) if end else b""
                    if not data:
                        self.close_connection = True
                        return
                    ends[end].sendall(data)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass


def serve(handler, context=None):
    server = Server(("127.0.0.1", 0), handler)
    if context:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_address[1]


def command(line):
    request = json.loads(line)
    what = request.pop("cmd")
    if what == "fault":
        STATE.faults.append(request)
    elif what == "set":
        for name, value in request.items():
            setattr(STATE, name, value)
    elif what == "move":
        STATE.repos[request["repo"]].head = 1
    elif what == "commit":
        repo = STATE.repos[request["repo"]]
        return {"commit": repo.commits[request.get("number", repo.head)].sha}
    elif what == "reset":
        STATE.reset()
    elif what == "log":
        with STATE.lock:
            log, STATE.log = STATE.log, []
        return {"log": log}
    else:
        return {"error": "no such command"}
    return {}


PORTS = {}


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--folder", action="append", default=[], metavar="NAME=FOLDER",
                        help="a repository with the files of a folder")
    options = parser.parse_args()
    FOLDERS.extend(options.folder)
    STATE.reset()
    PORTS.update(hub=serve(HubHandler), cdn=serve(CdnHandler), proxy=serve(ProxyHandler))
    if options.cert:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(options.cert, options.key)
        PORTS["tls"] = serve(HubHandler, context)
    print(json.dumps(PORTS), flush=True)
    for line in sys.stdin:
        print(json.dumps(command(line)), flush=True)


if __name__ == "__main__":
    main()
