"""Runs the published client, unmodified, against the address in FI_BASE_URL; prints nothing of its own."""

# pyright: reportUnknownVariableType=false, reportUnknownMemberType=false

import asyncio
import json
import sys
import warnings

warnings.simplefilter("ignore")  # of that client's own code

from fi.simulate import AgentInput, AgentResponse, TestRunner  # noqa: E402


async def agent(given: AgentInput) -> AgentResponse | str:
    said = (given.new_message or {})["content"]
    if "boom" in said:
        raise RuntimeError("the agent broke")
    if "4417" not in said:
        return "From nine to five."
    call = {
        "id": "c1",
        "type": "function",
        "function": {"name": "issue_refund", "arguments": json.dumps({"order": "4417"})},
    }
    done = {"role": "tool", "tool_call_id": "c1", "content": '{"refunded": 42.5}'}
    return AgentResponse(content="I have refunded it.", tool_calls=[call], tool_responses=[done])


for name in sys.argv[1:]:
    asyncio.run(TestRunner().run_test(run_test_name=name, agent_callback=agent))
