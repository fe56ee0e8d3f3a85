// Asks the gate about a request, body and all, and does what it says. auth_request alone cannot: it passes no body on, and
// hands no answer through but 401 and 403.

// What the gate says of who calls, and where nginx.conf picks it up.
const identity = {
  'Ostiary-User': 'ostiary_user',
  'Ostiary-Organization': 'ostiary_organization',
  'Ostiary-Client': 'ostiary_client',
  'Ostiary-Grant': 'ostiary_grant',
  'Ostiary-Scopes': 'ostiary_scopes',
  'Ostiary-Identity': 'ostiary_identity',
};

// What of a refusal goes on to the client.
const passed = ['WWW-Authenticate', 'Retry-After', 'Cache-Control', 'Vary', 'Content-Type', 'Access-Control-Allow-Origin',
  'Access-Control-Allow-Methods', 'Access-Control-Allow-Headers', 'Access-Control-Expose-Headers', 'Access-Control-Max-Age'];

async function guard(r) {
  const answer = await r.subrequest('/_ostiary_check', {method: r.method, body: r.requestText || ''});
  if (answer.status === 200) {
    Object.keys(identity).forEach((name) => { r.variables[identity[name]] = answer.headersOut[name] || ''; });
    r.internalRedirect('@mcp');
    return;
  }
  passed.forEach((name) => {
    if (answer.headersOut[name]) {
      r.headersOut[name] = answer.headersOut[name];
    }
  });
  r.return(Number(answer.headersOut['Ostiary-Status']) || 503, answer.responseText);
}

export default {guard};
