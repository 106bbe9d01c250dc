"""Takes a VM through its life with the published client, as it comes. Reads {"url", "password", "vm"} from stdin."""

import asyncio
import json
import sys

from zstack_mcp.zstack_client import ZStackApiError, ZStackClient

VM = "org.zstack.header.vm.API{}VmInstanceMsg"


async def refusal(call):
    try:
        answer = await call
    except ZStackApiError as error:
        return error
    raise AssertionError(f"{answer} where an error was due")


async def main():
    asked = json.load(sys.stdin)

    stranger = ZStackClient(api_url=asked["url"], account="admin", password="wrong")
    assert (await refusal(stranger.login())).code == "ID.1000"
    await stranger.close()
    stranger = ZStackClient(api_url=asked["url"], session_id="5d94103e19254d8696c0f05489c259ab")
    assert (await refusal(stranger.execute("QueryZone", "org.zstack.header.zone.APIQueryZoneMsg", {}))).code == "ID.1001"
    await stranger.close()

    client = ZStackClient(api_url=asked["url"], account="admin", password=asked["password"])

    async def query(name, full_name, conditions, **more):
        conditions = [dict(zip(("name", "op", "value"), condition)) for condition in conditions]
        return await client.execute(name, full_name, {"conditions": conditions, **more})

    async def vms(*conditions, **more):
        return await query("QueryVmInstance", VM.format("Query"), conditions, **more)

    async def act(verb, **parameters):
        return await client.execute(f"{verb}VmInstance", VM.format(verb), parameters, is_async=True)

    hosts = await query("QueryHost", "org.zstack.header.host.APIQueryHostMsg", [("status", "=", "Connected")])
    assert hosts["success"] and hosts["inventories"], hosts

    made = (await act("Create", **asked["vm"]))["inventory"]
    uuid = made["uuid"]
    assert made["state"] == "Running" and made["name"] == asked["vm"]["name"], made
    found = await vms(("name", "like", made["name"][:3] + "%"), ("vmNics.ip", "in", made["vmNics"][0]["ip"]),
                      limit=50, replyWithCount=True, sortBy="createDate", sortDirection="desc")
    assert found["total"] == 1 and found["inventories"][0]["uuid"] == uuid, found
    shown = await vms(("uuid", "=", uuid), fields=["name", "state"])
    assert shown["inventories"] == [{"name": made["name"], "state": "Running"}], shown

    assert (await act("Stop", uuid=uuid, type="cold"))["inventory"]["state"] == "Stopped"
    twice = await refusal(act("Resume", uuid=uuid))
    assert twice.code == "SYS.1010" and twice.details["details"], (twice.code, twice.details)
    assert (await act("Start", uuid=uuid))["inventory"]["state"] == "Running"

    # A session that has ended: the client logs in anew by itself.
    ended = client.session.uuid
    await client.execute("LogOut", "org.zstack.header.identity.APILogOutMsg", {"sessionUuid": ended})
    assert (await vms(("uuid", "=", uuid)))["inventories"] and client.session.uuid != ended

    missing = await refusal(act("Start"))
    assert missing.code == "SYS.1007" and missing.details["details"].startswith("uuid "), missing.details
    doubtful = await refusal(vms(("name", "?=", "a%")))
    assert doubtful.code == "SYS.1006" and "unknown QueryOp type[?=]" in doubtful.details["details"], doubtful.details

    await act("Destroy", uuid=uuid)
    assert (await vms(("uuid", "=", uuid)))["inventories"][0]["state"] == "Destroyed"
    await act("Expunge", uuid=uuid)
    assert (await vms(("uuid", "=", uuid)))["inventories"] == []
    await client.logout()


asyncio.run(main())
