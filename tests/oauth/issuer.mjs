// A certified OAuth authorization server (npm oidc-provider) on a free port of this computer, with its own login
// page: any name and any password log in. Prints its address, then serves until it is ended.

import { createServer } from "node:http";

const { default: Provider } = await import("../clients/node_modules/oidc-provider/lib/index.js");

// What a client publishes under its own address (client metadata documents are https, which loopback is not).
const documents = JSON.parse(process.env.CLIENT_DOCUMENTS ?? "{}");

const server = createServer();
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    features: {
      registration: { enabled: true },
      clientIdMetadataDocument: { enabled: true, ack: "draft-02" },
      resourceIndicators: {
        enabled: true,
        useGrantedResource: () => true,
        getResourceServerInfo: (_, resource) => ({
          scope: "audiences:read other:read",
          audience: resource,
          accessTokenFormat: "jwt",
          accessTokenTTL: 600,
          jwt: { sign: { alg: "RS256" } },
        }),
      },
    },
    scopes: ["openid", "offline_access", "audiences:read", "other:read"],
    issueRefreshToken: (_, client) => client.grantTypeAllowed("refresh_token"),
    // Each renewal brings a new refresh token, as OAuth 2.1 has it for public clients.
    rotateRefreshToken: true,
    extraTokenClaims: (_, token) => ({ email: `${token.accountId}@example.com`, email_verified: true }),
    findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    clientBasedCORS: () => true,
    cookies: { keys: ["a key of a test"] },
    fetch: (url, options) =>
      documents[url] ? Response.json(documents[url]) : fetch(url, options),
  });
  server.on("request", provider.callback());
  process.stdout.write(`${issuer}\n`);
});
