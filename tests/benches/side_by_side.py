#!/usr/bin/env python3
"""The gateway against Envoy's own filters, in one run: same Envoy binary, same upstream, one
worker each, one reused RS256 token.

    tests/benches/side_by_side.py [--rounds 3] [--seconds 5] [--connections 32]

Contestants: bare Envoy; Envoy with its native jwt_authn filter (which also writes the user into a
header); the gateway without memory; the gateway with memory. They take turns, round by round, so
that a machine whose speed drifts does not favour one. Printed are medians of requests a second
and of Envoy's CPU time per request, and the ratios to native jwt_authn.

Needs wrk and openssl on PATH and a built attach-gateway (cargo build --release -p attach-gateway).
"""

import argparse
import base64
import http.server
import json
import os
import pathlib
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
CHAT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "x" * 900}]})
ANSWER = json.dumps({"message": {"role": "assistant", "content": "y" * 1900}, "done": True})


def free_port():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return sock.getsockname()[1]


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Issuer:
    """Discovery and key set on loopback; signs with openssl."""

    def __init__(self, scratch):
        self.key = scratch / "issuer.pem"
        subprocess.run(
            ["openssl", "genrsa", "-out", self.key, "2048"], check=True, capture_output=True
        )
        modulus = subprocess.run(
            ["openssl", "rsa", "-in", self.key, "-noout", "-modulus"],
            check=True, capture_output=True, text=True,
        ).stdout.strip().split("=")[1]
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        jwk = {"kty": "RSA", "kid": "k1", "alg": "RS256", "use": "sig",
               "n": b64(bytes.fromhex(modulus)), "e": "AQAB"}
        self.jwks = json.dumps({"keys": [jwk]})
        pages = {
            "/.well-known/openid-configuration": json.dumps(
                {"issuer": self.url, "jwks_uri": self.url + "/jwks"}
            ),
            "/jwks": self.jwks,
        }

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                page = pages.get(self.path)
                self.send_response(200 if page else 404)
                self.send_header("content-type", "application/json")
                self.end_headers()
                self.wfile.write((page or "{}").encode())

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def token(self):
        now = int(time.time())
        header = {"alg": "RS256", "typ": "at+jwt", "kid": "k1"}
        claims = {"iss": self.url, "sub": "alice", "aud": "attach", "exp": now + 3600, "iat": now,
                  "azp": "bench", "scope": "chat:run"}
        signed = ".".join(b64(json.dumps(part).encode()) for part in (header, claims))
        signature = subprocess.run(
            ["openssl", "dgst", "-sha256", "-sign", self.key],
            input=signed.encode(), check=True, capture_output=True,
        ).stdout
        return f"{signed}.{b64(signature)}"


def cluster(name, port):
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {
        "name": name, "type": "STATIC", "connect_timeout": "1s",
        "load_assignment": {"cluster_name": name, "endpoints": [
            {"lb_endpoints": [{"endpoint": {"address": address}}]}]},
    }


def envoy_config(port, route, filters, clusters):
    kind = "type.googleapis.com/envoy.extensions.filters"
    manager = {
        "@type": f"{kind}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench", "normalize_path": True, "merge_slashes": True,
        "access_log": [{"name": "log", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog",
            "path": "/dev/null"}}],
        "route_config": {"virtual_hosts": [
            {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}]},
        "http_filters": [*filters, {"name": "router", "typed_config": {
            "@type": f"{kind}.http.router.v3.Router"}}],
    }
    address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
    return {"static_resources": {
        "listeners": [{"name": "bench", "address": address, "filter_chains": [{"filters": [
            {"name": "http", "typed_config": manager}]}]}],
        "clusters": clusters,
    }}


def native_filter(issuer):
    return {"name": "jwt", "typed_config": {
        "@type": "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication",
        "providers": {"id": {
            "issuer": issuer.url, "audiences": ["attach"],
            "local_jwks": {"inline_string": issuer.jwks},
            "claim_to_headers": [{"header_name": "x-attach-user", "claim_name": "sub"}],
        }},
        "rules": [{"match": {"prefix": "/"}, "requires": {"provider_name": "id"}}],
    }}


class Contestant:
    def __init__(self, name, port, process, envoy_pid):
        self.name, self.port, self.process, self.envoy_pid = name, port, process, envoy_pid
        self.rates, self.cpu = [], []


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def wait_for(port, token, seconds=30):
    end = time.monotonic() + seconds
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/api/chat", data=CHAT.encode(),
        headers={"authorization": f"Bearer {token}", "content-type": "application/json"})
    while True:
        try:
            with urllib.request.urlopen(request, timeout=2) as answer:
                if answer.status == 200:
                    return
        except OSError as error:
            if time.monotonic() > end:
                sys.exit(f"port {port} gave no 200 within {seconds} s: {error}")
        time.sleep(0.1)


def start_envoy(envoy, scratch, name, config):
    path = scratch / f"{name}.json"
    path.write_text(json.dumps(config))
    return subprocess.Popen(
        [envoy, "-c", path, "--concurrency", "1", "--disable-hot-restart", "-l", "error"])


def start_gateway(program, envoy, scratch, name, issuer, engine_port, memory):
    port = free_port()
    data = scratch / name
    environment = {
        "PATH": os.environ["PATH"], "HOME": str(scratch), "ATTACH_ENVOY": str(envoy),
        "OIDC_ISSUER": issuer.url, "OIDC_AUD": "attach", "ATTACH_CONCURRENCY": "1",
        "ATTACH_LISTEN": f"127.0.0.1:{port}", "ATTACH_METRICS_LISTEN": f"127.0.0.1:{free_port()}",
        "ENGINE_URL": f"http://127.0.0.1:{engine_port}", "ATTACH_DATA_DIR": str(data),
        "MEM_BACKEND": "embedded" if memory else "none",
    }
    process = subprocess.Popen(
        [program, "run"], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return port, process


def descendants(pid):
    found = []
    for child in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        found += [int(child), *descendants(int(child))]
    return found


def envoy_below(pid):
    for child in descendants(pid):
        if pathlib.Path(f"/proc/{child}/exe").resolve().name == "envoy":
            return child
    sys.exit(f"no Envoy below process {pid}")


def load(contestant, token, seconds, connections, scratch):
    script = scratch / "load.lua"
    script.write_text(
        'wrk.method = "POST"\n'
        f"wrk.body = [==[{CHAT}]==]\n"
        'wrk.headers["Content-Type"] = "application/json"\n'
        f'wrk.headers["Authorization"] = "Bearer {token}"\n')
    before = cpu_seconds(contestant.envoy_pid)
    output = subprocess.run(
        ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script,
         f"http://127.0.0.1:{contestant.port}/api/chat"],
        check=True, capture_output=True, text=True).stdout
    used = cpu_seconds(contestant.envoy_pid) - before
    if "Non-2xx" in output or "Socket errors" in output:
        sys.exit(f"{contestant.name}: not every request succeeded:\n{output}")
    requests = int(re.search(r"(\d+) requests in", output)[1])
    contestant.rates.append(float(re.search(r"Requests/sec:\s+([\d.]+)", output)[1]))
    contestant.cpu.append(used / requests * 1e6)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--envoy", default=os.environ.get("ATTACH_ENVOY"))
    parser.add_argument("--gateway", default=ROOT / "target/release/attach-gateway")
    options = parser.parse_args()
    if not options.envoy:
        sys.exit("name the Envoy binary: --envoy PATH or ATTACH_ENVOY")
    with tempfile.TemporaryDirectory(prefix="ab") as scratch:
        run(options, pathlib.Path(scratch))


def run(options, scratch):
    issuer = Issuer(scratch)
    token = issuer.token()
    engine = free_port()
    direct = {"direct_response": {"status": 200, "body": {"inline_string": ANSWER}}}
    processes = [start_envoy(options.envoy, scratch, "engine",
                             envoy_config(engine, direct, [], []))]
    proxied = {"route": {"cluster": "engine", "timeout": "0s"}}
    contestants = []
    try:
        for name, filters in (("bare", []), ("native", [native_filter(issuer)])):
            port = free_port()
            config = envoy_config(port, proxied, filters, [cluster("engine", engine)])
            process = start_envoy(options.envoy, scratch, name, config)
            processes.append(process)
            contestants.append(Contestant(name, port, process, process.pid))
        for name, memory in (("gateway", False), ("gateway+memory", True)):
            port, process = start_gateway(
                options.gateway, options.envoy, scratch, "g1" if memory else "g0",
                issuer, engine, memory)
            processes.append(process)
            contestants.append(Contestant(name, port, process, None))
        for contestant in contestants:
            wait_for(contestant.port, token)
            if contestant.envoy_pid is None:
                contestant.envoy_pid = envoy_below(contestant.process.pid)
            load(contestant, token, 1, options.connections, scratch)
            contestant.rates.clear()
            contestant.cpu.clear()
        for _ in range(options.rounds):
            for contestant in contestants:
                load(contestant, token, options.seconds, options.connections, scratch)
        report(contestants)
    finally:
        for process in reversed(processes):
            process.send_signal(signal.SIGTERM)
        for process in processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()


def report(contestants):
    native = next(c for c in contestants if c.name == "native")
    print(f"{'':16} {'requests/s':>10} {'ratio':>6}   {'CPU us/req':>10} {'ratio':>6}")
    for contestant in contestants:
        rate = statistics.median(contestant.rates)
        cpu = statistics.median(contestant.cpu)
        print(f"{contestant.name:16} {rate:10.0f} {rate / statistics.median(native.rates):6.2f}   "
              f"{cpu:10.1f} {cpu / statistics.median(native.cpu):6.2f}")


if __name__ == "__main__":
    main()
