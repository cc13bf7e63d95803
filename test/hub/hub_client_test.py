#!/usr/bin/env python3
"""Proves that server.py speaks the hub's protocol: the hub's own client downloads from it.

Exit 0: all right. Exit 77: the client is not installed here (counted as skipped).
"""
import json, os, subprocess, sys, tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
server = subprocess.Popen([sys.executable, os.path.join(HERE, "server.py")], text=True,
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE)
ports = json.loads(server.stdout.readline())
endpoint = f"http://127.0.0.1:{ports['hub']}"
home = tempfile.TemporaryDirectory()
os.environ.update(HF_ENDPOINT=endpoint, HF_HOME=home.name, HF_HUB_DISABLE_XET="1",
                  HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1")
for name in list(os.environ):
    if name.lower().endswith("_proxy") or name in ("HF_TOKEN", "HF_HUB_OFFLINE"):
        del os.environ[name]
try:
    from huggingface_hub import HfApi, errors, hf_hub_download, snapshot_download
except ImportError:
    server.kill()
    sys.exit(77)
sys.path.insert(0, HERE)
import server as hub


def ask(**request):
    server.stdin.write(json.dumps(request) + "\n")
    server.stdin.flush()
    return json.loads(server.stdout.readline())


def refused(kind, *args, **options):
    try:
        hf_hub_download(*args, **options)
    except kind:
        return True
    return False


repos = hub.build_repos()
checked = 0


def check(what, is_right):
    global checked
    checked += 1
    if not is_right:
        print("FAILED:", what)
        server.kill()
        sys.exit(1)


for name in ("org/tiny", "bare", "org/shards", "org/odd", "org/oldname"):
    folder = snapshot_download(name)
    repo = repos[{"org/oldname": "org/newname"}.get(name, name)]
    check(f"{name} commit", os.path.basename(folder) == repo.commits[0].sha)
    for path, (data, _) in repo.commits[0].files.items():
        with open(os.path.join(folder, path), "rb") as file:
            check(f"{name}/{path}", file.read() == data)
ask(cmd="move", repo="org/moves")
check("the branch moved", os.path.basename(snapshot_download("org/moves"))
      == repos["org/moves"].commits[1].sha)
check("a tag", os.path.basename(snapshot_download("org/moves", revision="v1.0"))
      == repos["org/moves"].commits[0].sha)
check("private, hidden", refused(errors.RepositoryNotFoundError, "org/private", "config.json"))
check("private, seen", hf_hub_download("org/private", "config.json", token=hub.TOKEN))
check("gated, closed", refused(errors.GatedRepoError, "org/gated", "config.json"))
check("gated, poor", refused(errors.GatedRepoError, "org/gated", "config.json",
                             token=hub.POOR_TOKEN))
check("gated, open", hf_hub_download("org/gated", "config.json", token=hub.TOKEN))
check("no entry", refused(errors.EntryNotFoundError, "org/tiny", "absent.json"))
check("no revision", refused(errors.RevisionNotFoundError, "org/tiny", "config.json",
                             revision="absent"))
api = HfApi()
check("whoami", api.whoami(token=hub.TOKEN)["name"] == "tester")
ask(cmd="set", page=2)
check("search pages", len(list(api.list_models(search="org/", limit=7))) == 7)
info = api.model_info("org/tiny", files_metadata=True)
check("sizes", {s.rfilename: s.size for s in info.siblings}
      == {p: len(d) for p, (d, _) in repos["org/tiny"].commits[0].files.items()})
check("tree pages", len(list(api.list_repo_tree("org/tiny", recursive=True)))
      == len(repos["org/tiny"].commits[0].files))
ask(cmd="fault", where="cdn", path="big", do="drop", after=1_000_000)
path = hf_hub_download("org/big", "model.safetensors")
with open(path, "rb") as file:
    check("after a drop", file.read() == repos["org/big"].commits[0].files["model.safetensors"][0])
attempts = [e for e in ask(cmd="log")["log"] if e["where"] == "cdn" and "/big/" in e["path"]]
check("in a second attempt", len(attempts) == 2)
server.kill()
print(f"{checked} checks of the hub's client passed")
