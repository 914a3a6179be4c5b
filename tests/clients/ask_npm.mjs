// Asks the server as clients built on the npm packages do; prints what came as one line of JSON.
// The argument: {"package": "sdk" | "client", "era": "legacy" | "auto", "command", "args" or "url", "headers"}

const asked = JSON.parse(process.argv[2]);
const who = { name: `npm-${asked.package}`, version: "1" };
let client, transport, version;

if (asked.package === "sdk") {
  const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
  const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
  const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
  client = new Client(who);
  transport = connection(StdioClientTransport, StreamableHTTPClientTransport);
  // The only place where this generation tells what was negotiated.
  const told = transport.setProtocolVersion?.bind(transport);
  transport.setProtocolVersion = (negotiated) => {
    version = negotiated;
    told?.(negotiated);
  };
} else {
  const { Client, StreamableHTTPClientTransport } = await import("@modelcontextprotocol/client");
  const { StdioClientTransport } = await import("@modelcontextprotocol/client/stdio");
  client = new Client(who, { versionNegotiation: { mode: asked.era } });
  transport = connection(StdioClientTransport, StreamableHTTPClientTransport);
}

function connection(Stdio, Http) {
  if (asked.url) return new Http(new URL(asked.url), { requestInit: { headers: asked.headers } });
  return new Stdio({ command: asked.command, args: asked.args, env: process.env });
}

await client.connect(transport);
const { tools } = await client.listTools();
let progress = 0;
const listed = await client.callTool(
  { name: "list_audiences", arguments: { limit: 5, refresh: true } },
  ...(asked.package === "sdk" ? [undefined] : []),
  { onprogress: () => progress++ },
);
const got = await client.callTool({ name: "get_audience", arguments: { audience: "VIP", source: "whop" } });
version ??= client.getNegotiatedProtocolVersion();
await client.close();
console.log(
  JSON.stringify({
    version,
    tools: tools.map((tool) => tool.name),
    progress,
    listed: { text: listed.content[0].text, structured: listed.structuredContent },
    got: { text: got.content[0].text, structured: got.structuredContent },
  }),
);
