"""Serves the built viewer and passes /dicom-web on to the PACS, from one origin."""
import http.client
import http.server
import mimetypes
import pathlib
import threading

CONFIG = """window.config = {
  routerBasename: '/', extensions: [], modes: [], showStudyList: true,
  investigationalUseDialog: { option: 'never' },
  defaultDataSourceName: 'dicomweb',
  dataSources: [{
    namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'dicomweb',
    configuration: {
      friendlyName: 'PACS', name: 'PACS',
      wadoUriRoot: '/dicom-web', qidoRoot: '/dicom-web', wadoRoot: '/dicom-web',
      qidoSupportsIncludeField: false, supportsReject: false, supportsFuzzyMatching: false, supportsWildcard: true,
      imageRendering: 'wadors', thumbnailRendering: 'wadors', enableStudyLazyLoad: true,
      omitQuotationForMultipartRequest: true, bulkDataURI: { enabled: true },
    },
  }],
};
"""


class Viewer(http.server.ThreadingHTTPServer):
    """On a free port of loopback; a context manager."""

    daemon_threads = True

    def __init__(self, dist, pacs_port):
        self.dist, self.pacs_port = pathlib.Path(dist).resolve(), pacs_port
        super().__init__(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_):
        """A browser drops connections when a page is closed: nothing to tell."""

    def __enter__(self):
        threading.Thread(target=self.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self.shutdown()
        self.server_close()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, kind, body):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.end_headers()
        self.wfile.write(body)

    def pass_on(self):
        """The PACS builds addresses from the Host header, so that goes along unchanged."""
        size = int(self.headers.get("Content-Length") or 0)
        upstream = http.client.HTTPConnection("127.0.0.1", self.server.pacs_port, timeout=1200)
        try:
            headers = {k: v for k, v in self.headers.items() if k.lower() not in ("connection", "accept-encoding")}
            upstream.request(self.command, self.path, self.rfile.read(size) if size else None, headers)
            got = upstream.getresponse()
            self.answer(got.status, got.getheader("Content-Type", "application/octet-stream"), got.read())
        finally:
            upstream.close()

    def do_GET(self):
        path = self.path.split("?")[0]
        if path.startswith("/dicom-web"):
            return self.pass_on()
        if path == "/app-config.js":
            return self.answer(200, "text/javascript", CONFIG.encode())
        file = (self.server.dist / path.lstrip("/")).resolve()
        if not file.is_file() or self.server.dist not in file.parents:
            file = self.server.dist / "index.html"  # a path of the viewer's own router
        kind = "application/wasm" if file.suffix == ".wasm" else mimetypes.guess_type(file.name)[0]
        return self.answer(200, kind or "application/octet-stream", file.read_bytes())

    def do_POST(self):
        return self.pass_on()
