// The official TypeScript SDK, 2.x: from 401 to a called tool, one refresh, then a step-up. The second argument chooses the
// protocol (`legacy` for 2025, `auto` for 2026-07-28 where the server speaks it), the third the segment to delete, the
// fourth is the URL of the client's metadata document, empty for one that registers.
import { Client, StreamableHTTPClientTransport, UnauthorizedError } from '@modelcontextprotocol/client';
import { Provider, listen, say, text } from './provider.mjs';

class Denied extends Error {}

const [serverURL, allowed, refused] = [new URL(process.argv[2]), 'run_query', 'delete_segment'];
const callback = await listen();
const provider = new Provider(callback.url, process.argv[5]);
const client = new Client({ name: 'ostiary-e2e', version: '1.0.0' }, { versionNegotiation: { mode: process.argv[3] } });
const transport = () => new StreamableHTTPClientTransport(serverURL, { authProvider: provider });

let current = transport();
try {
  await run();
} catch (error) {
  if (!(error instanceof Denied)) throw error;
  say('denied', { error: error.message });
}
await client.close();
callback.close();
say('done');

async function run() {
  await authorized(() => client.connect(current), async () => {
    current = transport();
    await client.connect(current);
  });

  const call = { name: allowed, arguments: { dataset: 'accounts' } };
  say('called', { text: text(await client.callTool(call)) });

  const before = provider.saved.refresh_token;
  provider.expire();
  await client.callTool(call);
  if (provider.saved.access_token === 'expired') throw new Error('no new access token');
  if (provider.saved.refresh_token === before) throw new Error('the refresh token was not rotated');
  say('refreshed');

  const stepUp = () => client.callTool({ name: refused, arguments: { segment_id: process.argv[4] } });
  say('called', { text: text(await authorized(stepUp, stepUp)) });
}

/** authorized tries, and when the SDK sent the person to a browser, finishes and tries again. */
async function authorized(attempt, again) {
  try {
    return await attempt();
  } catch (error) {
    if (!(error instanceof UnauthorizedError)) throw error;
    const answer = await callback.next();
    if (answer.get('state') !== provider.sentState) throw new Error('state differs');
    if (answer.get('error')) throw new Denied(answer.get('error'));
    await current.finishAuth(answer);
    return again();
  }
}
