// Acme Data on the official SDK and Express, protected tool by tool.
import { toNodeHandler } from "@modelcontextprotocol/node";
import { createMcpHandler } from "@modelcontextprotocol/server";
import { currentGrant } from "@ostiary/server";
import { ostiaryExpress } from "@ostiary/server/express";
import express from "express";

import { build } from "./acme.ts";
import { serve } from "./serve.ts";

const { OSTIARY_ISSUER: issuer = "", OSTIARY_RESOURCE: resourceId = "" } = process.env;

const app = express();
app.use(ostiaryExpress({ issuer, resourceId }));
const handler = toNodeHandler(createMcpHandler(() => build(() => currentGrant()?.user ?? "unknown")));
app.all("/mcp", (req, res) => handler(req, res, req.body));

serve(app);
