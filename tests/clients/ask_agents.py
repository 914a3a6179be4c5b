"""Asks the server with a framework for agents and its tool objects; prints what came as one line of JSON.

Run by the interpreter of `.venv-agents` or `.venv-mcp1`. The argument: {"consumer", "calls"} and
{"command", "args"} or {"url", "headers"}. `calls` are arguments of list_audiences, as a model writes them.
The answer: the schema of list_audiences that a model is shown, and for each call the text that it gets.
"""

import json
import os
import sys
from contextlib import asynccontextmanager

import anyio

asked = json.loads(sys.argv[1])
TOOL = "list_audiences"
SERVER = {"command": asked.get("command"), "args": asked.get("args"), "env": dict(os.environ)}


async def openai_agents():
    from agents import Agent, RunContextWrapper
    from agents.mcp import MCPServerStdio, MCPServerStreamableHttp, MCPUtil
    from agents.tool_context import ToolContext

    if "url" in asked:
        server = MCPServerStreamableHttp(params={"url": asked["url"], "headers": asked["headers"]})
    else:
        server = MCPServerStdio(params=SERVER)
    async with server:
        agent = Agent(name="test", mcp_servers=[server])
        tools = await MCPUtil.get_function_tools(server, True, RunContextWrapper(None), agent)
        (tool,) = (each for each in tools if each.name == TOOL)
        assert tool.strict_json_schema

        async def call(arguments):
            text = json.dumps(arguments)
            context = ToolContext(None, tool_name=TOOL, tool_call_id="call_1", tool_arguments=text)
            said = await tool.on_invoke_tool(context, text)
            return said["text"] if isinstance(said, dict) else said

        return tool.params_json_schema, [await call(arguments) for arguments in asked["calls"]]


async def pydantic_ai():
    from pydantic_ai import Agent
    from pydantic_ai.mcp import MCPToolset
    from pydantic_ai.messages import ModelResponse, RetryPromptPart, TextPart, ToolCallPart, ToolReturnPart
    from pydantic_ai.models.function import FunctionModel
    from pydantic_ai.profiles.openai import OpenAIJsonSchemaTransformer

    shown, said = {}, []

    def model(messages, info):
        """Calls the tool with each of the calls, then ends; keeps what it is told."""
        (tool,) = (each for each in info.function_tools if each.name == TOOL)
        shown.update(OpenAIJsonSchemaTransformer(tool.parameters_json_schema, strict=True).walk())
        for part in messages[-1].parts:
            if isinstance(part, (ToolReturnPart, RetryPromptPart)):
                content = part.content
                said.append(content if isinstance(content, str) else json.dumps(content))
        if len(said) == len(asked["calls"]):
            return ModelResponse(parts=[TextPart("done")])
        return ModelResponse(parts=[ToolCallPart(TOOL, asked["calls"][len(said)])])

    if "url" in asked:
        from fastmcp.client.transports import StreamableHttpTransport as Http

        transport = Http(asked["url"], headers=asked["headers"])
    else:
        from fastmcp.client.transports import StdioTransport

        transport = StdioTransport(**SERVER, keep_alive=False)
    async with MCPToolset(transport) as tools:
        await Agent(FunctionModel(model), toolsets=[tools]).run("How big are my audiences?")
    return shown, said


async def llama_index():
    from llama_index.tools.mcp import BasicMCPClient, McpToolSpec

    if "url" in asked:
        client = BasicMCPClient(asked["url"], headers=asked["headers"])
    else:
        client = BasicMCPClient(SERVER["command"], args=SERVER["args"], env=SERVER["env"])
    tools = await McpToolSpec(client).to_tool_list_async()
    (tool,) = (each for each in tools if each.metadata.name == TOOL)

    async def call(arguments):
        output = (await tool.acall(**arguments)).raw_output
        return output.content[0].text

    return tool.metadata.get_parameters_dict(), [await call(arguments) for arguments in asked["calls"]]


@asynccontextmanager
async def first_sdk():
    """A session of the first generation of the SDK."""
    from mcp import ClientSession, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client

    if "url" in asked:
        async with (
            create_mcp_http_client(headers=asked["headers"]) as http,
            streamable_http_client(asked["url"], http_client=http) as (incoming, outgoing, _),
            ClientSession(incoming, outgoing) as session,
        ):
            await session.initialize()
            yield session
    else:
        async with (
            stdio_client(StdioServerParameters(**SERVER)) as (incoming, outgoing),
            ClientSession(incoming, outgoing) as session,
        ):
            await session.initialize()
            yield session


async def langchain():
    from langchain_mcp_adapters.tools import load_mcp_tools

    async with first_sdk() as session:
        (tool,) = (each for each in await load_mcp_tools(session) if each.name == TOOL)

        async def call(arguments):
            content = await tool.ainvoke(arguments)
            return content if isinstance(content, str) else content[0]["text"]

        return tool.args_schema, [await call(arguments) for arguments in asked["calls"]]


async def google_genai():
    from google.genai._mcp_utils import mcp_to_gemini_tools

    async with first_sdk() as session:
        listed = (await session.list_tools()).tools
        (tool,) = (
            declaration
            for each in mcp_to_gemini_tools(listed)
            for declaration in each.function_declarations
            if declaration.name == TOOL
        )
        said = [(await session.call_tool(TOOL, arguments)).content[0].text for arguments in asked["calls"]]
        return tool.parameters.model_dump(mode="json", exclude_none=True), said


async def main():
    schema, said = await globals()[asked["consumer"]]()
    print(json.dumps({"schema": schema, "said": said}))


anyio.run(main)
