"use strict";
/* Loaded into each Node process that a simulation starts: `globalThis.simulate.tool` gives a tool the answers
   that the scenario pins. A request's conversation is known by its traceparent header. */
const { AsyncLocalStorage } = require("node:async_hooks");
const http = require("node:http");
const https = require("node:https");

const address = process.env.SIMULATE_TOOLS;
const served = new AsyncLocalStorage();

class ToolFailed extends Error {
  name = "ToolFailed";
}

function knowsItsConversation(prototype) {
  const emit = prototype.emit;
  prototype.emit = function (event, ...rest) {
    if (event !== "request") return emit.call(this, event, ...rest);
    const parts = String(rest[0].headers.traceparent || "").split("-");
    const inside = (call) => served.run(parts.length === 4 ? parts[1] : undefined, call);
    // the pieces of its body come later, and from elsewhere
    const request = rest[0];
    const told = request.emit;
    request.emit = function (...what) { return inside(() => told.apply(this, what)); };
    return inside(() => emit.call(this, event, ...rest));
  };
}

function post(what, body) {
  return new Promise((resolve, reject) => {
    const headers = { "Content-Type": "application/json" };
    const request = http.request(`${address}/${what}`, { method: "POST", headers }, (answer) => {
      const pieces = [];
      answer.on("data", (piece) => pieces.push(piece));
      answer.on("error", reject);
      answer.on("end", () => {
        const text = Buffer.concat(pieces).toString();
        if (answer.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(text));
      });
    });
    request.on("error", reject);
    request.end(JSON.stringify(body));
  });
}

/** `run` takes one object, the tool's arguments; what it is given besides is passed on. */
function tool(name, run, { write = false } = {}) {
  return async (args, ...rest) => {
    const conversations = [process.env.SIMULATE_CONVERSATION, served.getStore()].filter(Boolean);
    const reply = await post("call", { name, arguments: args ?? {}, write, conversations });
    if (reply.failed !== undefined) throw new ToolFailed(reply.failed);
    if (reply.live === undefined) return reply.result;
    // what the tool did counts, whether or not anybody hears of it
    const tell = (outcome) => post("done", { live: reply.live, ...outcome }).catch(() => {});
    try {
      const result = await run(args, ...rest);
      await tell({ result });
      return result;
    } catch (error) {
      await tell({ error: String(error) });
      throw error;
    }
  };
}

if (address) {
  knowsItsConversation(http.Server.prototype);
  knowsItsConversation(https.Server.prototype);
  globalThis.simulate = { tool, ToolFailed };
}
