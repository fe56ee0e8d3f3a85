// The official TypeScript SDK, 1.x: from 401 to a called tool, one refresh, one refusal. The second argument is
// the URL of the client's metadata document, empty for one that registers.
import { UnauthorizedError } from '@modelcontextprotocol/sdk/client/auth.js';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { Provider, listen, say, text } from './provider.mjs';

const [serverURL, allowed, refused] = [new URL(process.argv[2]), 'run_query', 'delete_segment'];
const callback = await listen();
const provider = new Provider(callback.url, process.argv[3]);
const client = new Client({ name: 'ostiary-e2e', version: '1.0.0' });
const transport = () => new StreamableHTTPClientTransport(serverURL, { authProvider: provider });

let current = transport();
try {
  await client.connect(current);
  throw new Error('connected without a token');
} catch (error) {
  if (!(error instanceof UnauthorizedError)) throw error;
  const answer = await callback.next();
  if (answer.get('state') !== provider.sentState) throw new Error('state differs');
  await current.finishAuth(answer.get('code'));
  current = transport();
  await client.connect(current);
}

const call = { name: allowed, arguments: { dataset: 'accounts' } };
say('called', { text: text(await client.callTool(call)) });

const before = provider.saved.refresh_token;
provider.expire();
await client.callTool(call);
if (provider.saved.access_token === 'expired') throw new Error('no new access token');
if (provider.saved.refresh_token === before) throw new Error('the refresh token was not rotated');
say('refreshed');

try {
  await client.callTool({ name: refused, arguments: { segment_id: 'seg_dach' } });
  throw new Error(`${refused} answered`);
} catch (error) {
  say('refused', { error: String(error) });
}

await client.close();
callback.close();
say('done');
