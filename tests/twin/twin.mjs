// The twin, started for tests/it/discord/twin.rs. See README.md.
//
// Its first line says where it is and who lives there. Then each line that it is
// given names one thing to do in a channel, as the twin's own test interface has it,
// and each line that it says is what came of it. It ends with its input.
import { createRequire } from 'node:module';
import net from 'node:net';
import readline from 'node:readline';

const require = createRequire(`${process.env.DISCORD_TWIN}/`);
const { DigitalDiscord } = await import(require.resolve('discord-digital-twin'));

// What the bot asks for and the twin does not know. All else goes to the twin.
function shim(request, response) {
  // It knows the application by its newer address only.
  request.url = request.url.replace('/oauth2/applications/@me', '/applications/@me');
  // It has no webhooks of channels: the bot may have none, and speaks for itself.
  if (!/^\/api\/v10\/channels\/\d+\/webhooks(\?|$)/.test(request.url)) return false;
  response.writeHead(403, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify({ message: 'Missing Permissions', code: 50013 }));
  return true;
}

// It would listen for the whole network.
const { listen } = net.Server.prototype;
net.Server.prototype.listen = function listenHere(port, ready) {
  const [answer] = this.listeners('request');
  this.removeAllListeners('request');
  this.on('request', (request, response) => {
    if (!shim(request, response)) answer(request, response);
  });
  return listen.call(this, { host: '127.0.0.1', port }, ready);
};

const TEXT_CHANNEL = 0;
const twin = new DigitalDiscord({
  // Its own is no token by its shape.
  botToken: process.env.DISCORD_TOKEN,
  botUser: { username: 'dramatis' },
  guild: { name: 'Skerry', channels: [{ name: 'harbour', type: TEXT_CHANNEL }] },
  users: [{ username: 'ann' }],
});
await twin.start();

const say = (value) => process.stdout.write(`${JSON.stringify(value ?? null)}\n`);
say({
  url: new URL(twin.restUrl).origin,
  bot: twin.botUserId,
  person: await twin.getFirstNonBotUserId(),
  channel: (await twin.prisma.channel.findFirstOrThrow()).id,
});
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { channel, person, act, options } = JSON.parse(line);
  const place = twin.channel(channel);
  const who = person ? place.user(person) : place;
  say(await who[act](options));
}
await twin.stop();
process.exit(0);
