// Acme Data on the official SDK and Express, without any protection: put the gate in front of it.
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler } from "@modelcontextprotocol/server";
import express from "express";

import { build } from "./acme.ts";
import { serve } from "./serve.ts";

const app = express();
const handler = toNodeHandler(createMcpHandler(() => build(({ http }) => http?.req?.headers.get("ostiary-user") ?? "unknown")));
app.all("/mcp", (req, res) => handler(req, res));

serve(app);
