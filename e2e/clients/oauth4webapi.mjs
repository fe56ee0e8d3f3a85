// oauth4webapi, which checks every answer against the specifications: discovery, registration, a sign-in, userinfo, a
// refresh, a revocation. Arguments: issuer, MCP server, token endpoint authentication method, and for a client that has a
// metadata document instead of a registration its URL and the file of its private key.
import { spawn } from 'node:child_process';
import * as oauth from 'oauth4webapi';
import { listen, privateKey, say } from './provider.mjs';

const [issuer, resource, method, documentUrl, keyFile] = [new URL(process.argv[2]), ...process.argv.slice(3)];
const loopback = { [oauth.allowInsecureRequests]: true };
const callback = await listen();

// Both well-known documents, each by its own rules.
const as = await discover('oidc');
await discover('oauth2');
const client = documentUrl ? { client_id: documentUrl } : await register();
const authenticate = await {
  none: () => oauth.None(),
  client_secret_basic: () => oauth.ClientSecretBasic(client.client_secret),
  client_secret_post: () => oauth.ClientSecretPost(client.client_secret),
  private_key_jwt: async () => oauth.PrivateKeyJwt(await privateKey(keyFile)),
}[method]();

const verifier = oauth.generateRandomCodeVerifier();
const [state, nonce] = [oauth.generateRandomState(), oauth.generateRandomNonce()];
const url = new URL(as.authorization_endpoint);
url.search = new URLSearchParams({
  client_id: client.client_id, redirect_uri: callback.url, response_type: 'code', state, nonce, resource, max_age: '3600',
  scope: 'openid profile email offline_access data:read', code_challenge_method: 'S256',
  code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
});
spawn('xdg-open', [url.href], { stdio: 'ignore', detached: true }).unref();
const parameters = oauth.validateAuthResponse(as, client, await callback.next(), state);

const answer = await oauth.authorizationCodeGrantRequest(
  as, client, authenticate, parameters, callback.url, verifier, { ...loopback, additionalParameters: { resource } });
const tokens = await oauth.processAuthorizationCodeResponse(
  as, client, answer, { expectedNonce: nonce, maxAge: 3600, requireIdToken: true });
await oauth.validateApplicationLevelSignature(as, answer, loopback);
const claims = oauth.getValidatedIdTokenClaims(tokens);
say('signed-in', { scope: tokens.scope, claims });

const user = await oauth.processUserInfoResponse(
  as, client, claims.sub, await oauth.userInfoRequest(as, client, tokens.access_token, loopback));
say('userinfo', { claims: user });

const refreshed = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(
  as, client, authenticate, tokens.refresh_token, { ...loopback, additionalParameters: { resource } }));
if (!refreshed.id_token || refreshed.refresh_token === tokens.refresh_token) throw new Error('nothing was refreshed');
say('refreshed', { claims: oauth.getValidatedIdTokenClaims(refreshed) });

await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, authenticate, refreshed.refresh_token, loopback));
try {
  await oauth.processUserInfoResponse(
    as, client, claims.sub, await oauth.userInfoRequest(as, client, refreshed.access_token, loopback));
} catch (error) {
  if (!(error instanceof oauth.WWWAuthenticateChallengeError)) throw error;
  const [challenge] = error.cause;
  say('refused', { error: `${error.status} ${challenge.scheme} ${challenge.parameters.error}` });
}
callback.close();
say('done');

async function discover(algorithm) {
  return oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { ...loopback, algorithm }));
}

async function register() {
  return oauth.processDynamicClientRegistrationResponse(await oauth.dynamicClientRegistrationRequest(as, {
    client_name: 'Ostiary e2e', redirect_uris: [callback.url], token_endpoint_auth_method: method,
    grant_types: ['authorization_code', 'refresh_token'], response_types: ['code'], application_type: 'native',
  }, loopback));
}
