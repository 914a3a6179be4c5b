"""The files under examples/hosting, each by the program that it is written for."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.metadata import metadata
from pathlib import Path
from typing import Any

import anyio
import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from starlette.types import Receive, Scope, Send

from audience_mcp.config.environment import OWN_SETTINGS
from audience_mcp.sandbox import Sandbox
from audience_mcp.sandbox.app import app as sandbox_app
from tests.clients.test_clients import missing
from tests.e2e.test_http import client_of, posted
from tests.support.asgi import serving
from tests.support.hosting import AUTHORIZED, TOKEN, free_port, hosted, started
from tests.support.process import environment

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "examples" / "hosting"
NAME = "audiences.example.com"
ACCEPT = {"Accept": "application/json, text/event-stream", "MCP-Protocol-Version": "2025-11-25"}
UNITS = ["audience-mcp.service", "audience-mcp-workers.service"]


def read(name: str) -> str:
    return (EXAMPLES / name).read_text(encoding="utf-8")


def settings() -> dict[str, str]:
    """What the example of an environment file sets."""
    lines = [line for line in read("audience-mcp.env").splitlines() if line and not line.startswith("#")]
    return dict(line.split("=", 1) for line in lines)


def program(name: str) -> str:
    """A program that the example is for, or a skip."""
    return shutil.which(name) or missing(f"{name} is not installed (Debian: apt-get install {name})")


# --- the container


class Containerfile:
    """Its steps, by stage, with the lines that continue each other joined."""

    def __init__(self, text: str) -> None:
        lines = [line for line in text.replace("\\\n", " ").splitlines() if line and not line.startswith("#")]
        self.stages: list[list[tuple[str, str]]] = []
        for line in lines:
            instruction, _, rest = line.partition(" ")
            if instruction == "FROM":
                self.stages.append([])
            self.stages[-1].append((instruction, rest))

    def last(self, instruction: str) -> str:
        return [rest for name, rest in self.stages[-1] if name == instruction][-1]

    def listed(self, instruction: str) -> list[str]:
        """The program and arguments of an instruction in its JSON form."""
        rest = self.last(instruction)
        return [str(word) for word in json.loads(rest[rest.index("[") :])]


CONTAINER = Containerfile(read("Containerfile"))


def test_the_files_that_the_guide_names_are_there_and_no_others() -> None:
    named = re.findall(
        r"\(\.\./examples/hosting/([\w.-]+)\)", (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    )
    assert set(named) == {path.name for path in EXAMPLES.iterdir()}


@pytest.mark.parametrize("name", ["vscode_mcp.json", "vscode_mcp_token.json"])
def test_the_files_for_vs_code_name_the_public_url(name: str) -> None:
    (server,) = json.loads(read(name))["servers"].values()
    assert server["url"] == settings()["AUDIENCE_MCP_PUBLIC_URL"]


def test_the_container_is_built_in_stages_and_runs_as_nobody_in_particular() -> None:
    assert len(CONTAINER.stages) == 2
    assert int(CONTAINER.last("USER")) > 0
    assert CONTAINER.last("COPY").startswith("--from=build ")
    created = re.search(r"--uid (\d+)", dict(CONTAINER.stages[-1])["RUN"])
    assert created is not None
    assert created[1] == CONTAINER.last("USER")


async def contained(programs: dict[str, str]) -> None:
    """Run what the container runs, and its health check before and after the end.

    programs: where each of the container's programs is here.
    """

    def here(command: list[str], port: int) -> list[str]:
        words = [programs.get(word, word).replace("8000", str(port)) for word in command]
        assert not any(word.startswith("/opt/") for word in words), words
        return words

    port = free_port()
    command = here(CONTAINER.listed("ENTRYPOINT") + CONTAINER.listed("CMD"), port)
    check = here(CONTAINER.listed("HEALTHCHECK"), port)
    with started(command, {**settings(), "HOME": "/nonexistent"}) as server:
        await anyio.run_process(check, env=environment())
        async with httpx.AsyncClient(trust_env=False) as http:
            metadata = await http.get(f"{server.origin}/.well-known/oauth-protected-resource/mcp")
        assert metadata.json()["resource"] == settings()["AUDIENCE_MCP_PUBLIC_URL"]
        assert (await posted(server.url, {"Host": NAME})).status_code == 401
        assert await anyio.to_thread.run_sync(server.end) == 0
    stopped = await anyio.run_process(check, env=environment(), check=False)
    assert stopped.returncode == 1


async def test_what_the_container_runs_serves_and_its_health_check_tells_whether_it_does() -> None:
    bin_folder = Path(sys.executable).parent
    await contained(
        {
            "/opt/audience-mcp/bin/audience-mcp": str(bin_folder / "audience-mcp"),
            "/opt/audience-mcp/bin/python": sys.executable,
        }
    )


@pytest.mark.clients
async def test_the_steps_that_build_the_container_make_a_server_that_serves(tmp_path: Path) -> None:
    if os.environ.get("AUDIENCE_MCP_ALL_CLIENTS") != "1":
        pytest.skip("it asks a package index; AUDIENCE_MCP_ALL_CLIENTS=1 runs it")
    source, target = tmp_path / "src", tmp_path / "opt" / "audience-mcp"
    source.mkdir()
    for name in ("audience_mcp", "docs", "pyproject.toml", "README.md", "LICENSE"):
        at = ROOT / name
        if at.is_dir():
            shutil.copytree(at, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(at, source / name)
    for instruction, rest in CONTAINER.stages[0]:
        if instruction == "RUN":
            command = rest.replace("/opt/audience-mcp", str(target)).replace("/src", str(source))
            await anyio.run_process(command, env={**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1"})
    await contained(
        {f"/opt/audience-mcp/bin/{name}": str(target / "bin" / name) for name in ("audience-mcp", "python")}
    )


# --- systemd


@pytest.mark.parametrize("name", UNITS)
def test_systemd_finds_nothing_wrong_with_a_unit(name: str, tmp_path: Path) -> None:
    analyze = program("systemd-analyze")
    unit = tmp_path / "audience-mcp.service"
    text = re.sub(r"/opt/audience-mcp/bin/\S+", shutil.which("true") or "/bin/true", read(name))
    unit.write_text(text, encoding="utf-8")
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.strip()) == (0, "")


@pytest.mark.parametrize("name", UNITS)
async def test_what_a_unit_starts_serves_with_the_example_of_its_settings(name: str) -> None:
    (line,) = re.findall(r"^ExecStart=(.+)$", read(name), re.M)
    path, *arguments = shlex.split(line)
    here = Path(sys.executable).parent / Path(path).name
    command = [str(here), *(word if word != "8000" else "0" for word in arguments)]
    with started(command, settings()) as server:
        async with httpx.AsyncClient(trust_env=False) as http:
            assert (await http.get(f"{server.origin}/health")).status_code == 200
        assert (await posted(server.url, {"Host": NAME})).status_code == 401


def run_here(line: str, variables: dict[str, str]) -> subprocess.CompletedProcess[bytes]:
    """Run a unit's command to its end, with the programs that are here."""
    path, *arguments = shlex.split(line)
    command = [str(Path(sys.executable).parent / Path(path).name), *arguments]
    return subprocess.run(command, env=environment(**variables), capture_output=True, timeout=60)


VENDOR = {"COMMBOX_API_KEY": "0123456789abcdef"}
BAD_SETTINGS = {
    "a host name that lets others in, and no way to know them": {
        "AUDIENCE_MCP_ALLOWED_HOSTS": "audiences.example.com",
        **VENDOR,
    },
    "a rule for nobody": {**settings(), **VENDOR, "AUDIENCE_MCP_OAUTH_ALLOWED": "@"},
    "a source that lacks a key": {**settings(), "WHOP_API_KEY": "0123456789abcdef"},
}


@pytest.mark.parametrize("name", UNITS)
def test_settings_that_cannot_be_used_are_the_units_failure_before_it_starts(name: str) -> None:
    checks = re.findall(r"^ExecStartPre=(.+)$", read(name), re.M)
    for check in checks:
        fine = run_here(check, {**settings(), **VENDOR})
        assert fine.returncode == 0, fine.stderr
    for what, variables in BAD_SETTINGS.items():
        assert any(run_here(check, variables).returncode in (2, 3) for check in checks), what


def test_the_server_of_a_unit_is_not_started_again_for_a_setting_that_cannot_be_used() -> None:
    text = read("audience-mcp.service")
    (line,) = re.findall(r"^ExecStart=(.+)$", text, re.M)
    (prevented,) = re.findall(r"^RestartPreventExitStatus=(\d+)$", text, re.M)
    assert run_here(line, {"AUDIENCE_MCP_OAUTH_ALLOWED": "@"}).returncode == int(prevented)


@pytest.mark.parametrize(("workers", "code"), [(1, 3), (2, 0)])
def test_the_guide_says_how_uvicorn_ends_where_settings_cannot_be_used(workers: int, code: int) -> None:
    guide = (ROOT / "docs" / "hosting.md").read_text(encoding="utf-8")
    (row,) = [line for line in guide.splitlines() if line.startswith(f"| {code} |")]
    assert "uvicorn --factory" in row
    assert ("--workers" in row) == (workers > 1)
    (line,) = re.findall(r"^ExecStart=(.+)$", read("audience-mcp-workers.service"), re.M)
    line = line.replace("--workers 2", f"--workers {workers}").replace("--port 8000", "--port 0")
    done = run_here(line, {"AUDIENCE_MCP_OAUTH_ALLOWED": "@"})
    assert done.returncode == code
    assert b"AUDIENCE_MCP_OAUTH_ALLOWED" in done.stderr


# --- compose and Kubernetes


def compose() -> dict[str, Any]:
    return dict(yaml.safe_load(read("compose.yaml")))


def test_compose_takes_the_file() -> None:
    spec = pytest.importorskip("compose_spec")
    assert set(spec.PyCompose.from_yaml(read("compose.yaml")).service_names()) == {
        "audience-mcp",
        "postgres",
        "caddy",
    }


def test_what_compose_starts_names_files_services_and_extras_that_there_are() -> None:
    spec = compose()
    services = spec["services"]
    for name, service in services.items():
        assert set(service.get("depends_on", {})) < set(services)
        assert set(service["networks"]) <= set(spec["networks"])
        assert set(service.get("secrets", [])) <= set(spec["secrets"])
        for volume in service.get("volumes", []):
            source = volume.split(":")[0]
            assert source in spec["volumes"] or (EXAMPLES / source).is_file()
        if "image" not in service:
            built = service["build"]
            assert (EXAMPLES / built["context"] / built["dockerfile"]).resolve() == EXAMPLES / "Containerfile"
            assert (EXAMPLES / built["context"]).resolve() == ROOT
            extras = built["args"]["EXTRAS"].strip("[]").split(",")
            assert set(extras) <= set(metadata("audience-mcp").get_all("Provides-Extra") or ())
            assert name == "audience-mcp"
            assert ("ARG", "EXTRAS=") in CONTAINER.stages[0]
    (port,) = set(CONTAINER.listed("CMD")) & {services["caddy"]["environment"]["UPSTREAM"].split(":")[1]}
    assert f"{{$UPSTREAM:127.0.0.1:{port}}}" in read("Caddyfile")
    assert "ports" not in services["audience-mcp"]  # it is reached through the proxy alone


async def test_with_the_store_in_a_secret_the_server_starts_as_compose_starts_it(tmp_path: Path) -> None:
    secret = tmp_path / "store"
    secret.write_text("postgresql://audience_mcp:secret-of-the-database@127.0.0.1:1/audience_mcp\n")
    own = dict(compose()["services"]["audience-mcp"]["environment"])
    own["AUDIENCE_MCP_STORE_FILE"] = str(secret)
    with hosted(**{**settings(), **own}) as server:
        assert (await posted(server.url, {"Host": NAME})).status_code == 401
        assert await anyio.to_thread.run_sync(server.end) == 0
    assert "secret-of-the-database" not in "".join(server.log)


def manifests() -> list[dict[str, Any]]:
    return [dict(each) for each in yaml.safe_load_all(read("kubernetes.yaml"))]


def test_kubernetes_takes_each_manifest() -> None:
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    for manifest in manifests():
        for version in ("1.30", "1.36"):
            kubernetes_validate.validate(manifest, version, strict=True)


def test_the_manifests_belong_together_and_to_the_image() -> None:
    by_kind = {manifest["kind"]: manifest for manifest in manifests()}
    assert set(by_kind) == {"Deployment", "PodDisruptionBudget", "Service", "Ingress"}
    assert len({manifest["metadata"]["namespace"] for manifest in by_kind.values()}) == 1
    pod = by_kind["Deployment"]["spec"]["template"]
    labels = pod["metadata"]["labels"]
    assert by_kind["Service"]["spec"]["selector"] == labels
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert by_kind[kind]["spec"]["selector"]["matchLabels"] == labels
    (container,), (check,) = pod["spec"]["containers"], pod["spec"]["initContainers"]
    assert str(container["ports"][0]["containerPort"]) in CONTAINER.listed("CMD")
    assert str(pod["spec"]["securityContext"]["runAsUser"]) == CONTAINER.last("USER")
    assert check["image"] == container["image"]
    assert check["args"] == ["check", "--offline"]
    for probe in ("readinessProbe", "livenessProbe"):
        assert container[probe]["httpGet"] == {"path": "/health", "port": container["ports"][0]["name"]}
    assert {each["name"] for each in container["env"]} <= set(OWN_SETTINGS)
    (rule,) = by_kind["Ingress"]["spec"]["rules"]
    assert rule["host"] == NAME
    paths = [each["path"] for each in rule["http"]["paths"]]
    assert paths == ["/mcp", "/.well-known/oauth-protected-resource"]
    for each in rule["http"]["paths"]:
        assert each["backend"]["service"]["name"] == by_kind["Service"]["metadata"]["name"]


# --- the dashboard


async def test_every_metric_of_the_dashboard_is_one_that_the_server_has_and_the_other_way_round(
    tmp_path: Path,
) -> None:
    dashboard = json.loads(read("grafana-dashboard.json"))
    shown = set(re.findall(r"\b(?:audience_mcp|process)_[a-z_]+", json.dumps(dashboard["panels"])))
    async with gated_sandbox() as (origin, go_on):
        go_on.set()
        variables = {**Sandbox().environment(origin), "AUDIENCE_MCP_STORE": str(tmp_path)}
        with hosted(**variables, AUDIENCE_MCP_COMMBOX="", COMMBOX_API_KEY_BAD="0123456789") as server:
            async with client_of(server.url) as asking:
                await asking.call_tool("list_audiences", {})
            async with httpx.AsyncClient(trust_env=False) as http:
                text = (await http.get(f"{server.origin}/metrics")).text
    samples = {sample.name for family in text_string_to_metric_families(text) for sample in family.samples}
    assert shown <= samples
    apart = {"audience_mcp_call_seconds_count", "audience_mcp_call_seconds_sum"}
    assert {name for name in samples if name.startswith("audience_mcp_")} - apart <= shown
    assert len({panel["id"] for panel in dashboard["panels"]}) == len(dashboard["panels"])
    for panel in dashboard["panels"]:
        assert panel["title"]
        assert panel["targets"]


# --- the proxies


@asynccontextmanager
async def gated_sandbox() -> AsyncIterator[tuple[str, anyio.Event]]:
    """The made-up vendors, of which Whop answers only once the event is set; their origin."""
    go_on = anyio.Event()
    answer = sandbox_app()

    async def gated(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].startswith("/whop"):
            await go_on.wait()
        await answer(scope, receive, send)

    async with serving(gated) as port:
        try:
            yield f"http://127.0.0.1:{port}", go_on
        finally:
            go_on.set()


def client() -> httpx.AsyncClient:
    """Somebody who calls the server by its public name, and trusts a certificate that was made just now."""
    return httpx.AsyncClient(trust_env=False, verify=False, timeout=30, headers={"Host": NAME, **ACCEPT})


async def passes_on(url: str) -> None:
    """What a proxy must do: both spellings of the endpoint, the headers as they came, and nothing else."""
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    async with client() as http:
        for path in ("/mcp", "/mcp/"):
            assert (await http.post(f"{url}{path}", json=call, headers=AUTHORIZED)).status_code == 200
            refused = await http.post(f"{url}{path}", json=call)
            assert refused.status_code == 401
            assert "Bearer" in refused.headers["WWW-Authenticate"]
        elsewhere = {**AUTHORIZED, "Origin": "https://other.example"}
        assert (await http.post(f"{url}/mcp", json=call, headers=elsewhere)).status_code == 403
        large = await http.post(f"{url}/mcp", content=b"x" * (5 * 1024 * 1024), headers=AUTHORIZED)
        assert large.status_code == 413
        assert (await http.get(f"{url}/health")).json() == {"status": "ok"}
        assert (await http.get(f"{url}/other", headers=AUTHORIZED)).status_code == 404


async def streams(url: str, go_on: anyio.Event) -> None:
    """A call whose last source answers only once the progress of the others has come through."""
    params = {"name": "list_audiences", "arguments": {"limit": 1}, "_meta": {"progressToken": 1}}
    call = {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
    result = ""
    async with (
        client() as http,
        http.stream("POST", f"{url}/mcp", json=call, headers=AUTHORIZED) as response,
    ):
        async for line in response.aiter_lines():
            if "notifications/progress" in line:
                go_on.set()
            if '"result"' in line:
                result = line
    assert '"complete":true' in result.replace(" ", "").replace("\\", "")


@contextmanager
def running(command: list[str], port: int, folder: Path) -> Iterator[None]:
    """A proxy, once it listens."""
    with open(folder / "log", "wb") as log:
        variables = environment(XDG_DATA_HOME=str(folder), XDG_CONFIG_HOME=str(folder))
        process = subprocess.Popen(command, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        for _ in range(600):
            assert process.poll() is None, (folder / "log").read_text()
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)  # it does not tell when it listens
        yield
    finally:
        process.terminate()
        process.wait(timeout=30)


async def served_behind(url: str, port_of_server: int) -> None:
    """The server, called through a proxy that runs already."""
    async with gated_sandbox() as (origin, go_on):
        variables = {
            **Sandbox().environment(origin),
            "AUDIENCE_MCP_HTTP_TOKEN": TOKEN,
            "AUDIENCE_MCP_ALLOWED_HOSTS": NAME,
        }
        with hosted("--port", str(port_of_server), **variables):
            await passes_on(url)
            await streams(url, go_on)


async def test_caddy_passes_on_all_that_the_server_needs(tmp_path: Path) -> None:
    caddy = program("caddy")
    port, port_of_server = free_port(), free_port()
    text = read("Caddyfile")
    assert f"\n{NAME} {{\n" in text
    # With it, one refusal in some hundred arrives without its text (golang/go#40747).
    assert not re.search(r"^\s*flush_interval", text, re.M)
    # Its own name and certificate need the outside world; everything else is as it stands.
    text = text.replace(f"{NAME} {{", f"http://{NAME}:{port} {{")
    text = text.replace("127.0.0.1:8000", f"127.0.0.1:{port_of_server}")
    config = tmp_path / "Caddyfile"
    config.write_text("{\n\tadmin off\n}\n" + text, encoding="utf-8")
    formatted = await anyio.run_process([caddy, "fmt", str(EXAMPLES / "Caddyfile")])
    assert formatted.stdout.decode() == read("Caddyfile")
    command = [caddy, "run", "--adapter", "caddyfile", "--config", str(config)]
    with running(command, port, tmp_path):
        await served_behind(f"http://127.0.0.1:{port}", port_of_server)


async def test_nginx_passes_on_all_that_the_server_needs(tmp_path: Path) -> None:
    nginx = program("nginx")
    port, port_of_server = free_port(), free_port()
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1"]
    placed = ["-subj", f"/CN={NAME}", "-out", str(certificate), "-keyout", str(key)]
    await anyio.run_process([program("openssl"), *made, *placed])
    text = read("nginx.conf")
    text = text.replace("listen 443 ssl;", f"listen 127.0.0.1:{port} ssl;")
    text = text.replace("    listen [::]:443 ssl;\n", "")
    text = text.replace("server 127.0.0.1:8000;", f"server 127.0.0.1:{port_of_server};")
    text = re.sub(r"(ssl_certificate +)\S+;", rf"\g<1>{certificate};", text)
    text = re.sub(r"(ssl_certificate_key +)\S+;", rf"\g<1>{key};", text)
    folders = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    places = "".join(f"{name}_temp_path {tmp_path}/{name}; " for name in folders)
    config = tmp_path / "nginx.conf"
    config.write_text(
        f"daemon off; pid {tmp_path}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {places}\n{text}\n}}\n",
        encoding="utf-8",
    )
    await anyio.run_process([nginx, "-t", "-c", str(config)])
    with running([nginx, "-c", str(config)], port, tmp_path):
        await served_behind(f"https://127.0.0.1:{port}", port_of_server)
