// Asks the server as a framework for agents from npm does, with its own tool objects; prints what came as one line
// of JSON. The argument: {"consumer", "calls"} and {"command", "args"} or {"url", "headers"}. `calls` are arguments
// of list_audiences, as a model would write them. The answer: the schema of list_audiences that a model is shown, and
// for each call the text that it is given.

const asked = JSON.parse(process.argv[2]);
const TOOL = "list_audiences";
const env = process.env;

const consumers = {
  async openai_agents() {
    const { Agent, MCPServerStdio, MCPServerStreamableHttp, RunContext, getAllMcpTools } = await import("@openai/agents");
    const server = asked.url
      ? new MCPServerStreamableHttp({ url: asked.url, requestInit: { headers: asked.headers } })
      : new MCPServerStdio({ command: asked.command, args: asked.args, env });
    await server.connect();
    const runContext = new RunContext({});
    const agent = new Agent({ name: "test", mcpServers: [server] });
    const tools = await getAllMcpTools({
      mcpServers: [server], convertSchemasToStrict: true, runContext, agent,
    });
    const tool = tools.find((each) => each.name === TOOL);
    if (!tool.strict) throw new Error("not strict");
    const said = [];
    for (const call of asked.calls) {
      const output = await tool.invoke(runContext, JSON.stringify(call));
      said.push(typeof output === "string" ? output : (output[0] ?? output).text);
    }
    await server.close();
    return { schema: tool.parameters, said };
  },

  async ai_sdk() {
    const { createMCPClient } = await import("@ai-sdk/mcp");
    const { Experimental_StdioMCPTransport: Stdio } = await import("@ai-sdk/mcp/mcp-stdio");
    const transport = asked.url
      ? { type: "http", url: asked.url, headers: asked.headers }
      : new Stdio({ command: asked.command, args: asked.args, env });
    const client = await createMCPClient({ transport });
    const tool = (await client.tools())[TOOL];
    const said = [];
    for (const call of asked.calls) {
      const output = await tool.execute(call, { toolCallId: "call_1", messages: [] });
      said.push(output.content[0].text);
    }
    const schema = tool.inputSchema.jsonSchema;
    await client.close();
    return { schema: await schema, said };
  },

  async google_genai() {
    const { mcpToTool } = await import("@google/genai");
    const { Client } = await import("@modelcontextprotocol/sdk/client/index.js");
    const { StdioClientTransport } = await import("@modelcontextprotocol/sdk/client/stdio.js");
    const { StreamableHTTPClientTransport } = await import("@modelcontextprotocol/sdk/client/streamableHttp.js");
    const client = new Client({ name: "google-genai", version: "1" });
    await client.connect(
      asked.url
        ? new StreamableHTTPClientTransport(new URL(asked.url), { requestInit: { headers: asked.headers } })
        : new StdioClientTransport({ command: asked.command, args: asked.args, env }),
    );
    const callable = mcpToTool(client);
    const { functionDeclarations } = await callable.tool();
    const shown = functionDeclarations.find((each) => each.name === TOOL);
    const said = [];
    for (const args of asked.calls) {
      const [part] = await callable.callTool([{ name: TOOL, args }]);
      const { response } = part.functionResponse;
      said.push((response.content ?? response.error.content)[0].text);
    }
    await client.close();
    return { schema: shown.parametersJsonSchema, said };
  },
};

console.log(JSON.stringify(await consumers[asked.consumer]()));
process.exit(0);
