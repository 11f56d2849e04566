// A small bot on discord.js, for the double's own test. See README.md.
import { createRequire } from 'node:module';

const require = createRequire(`${process.env.DOUBLE_DISCORD_JS}/`);
const { Client, Events, GatewayIntentBits, MessageFlags } = require('discord.js');

const intents = [
  GatewayIntentBits.Guilds,
  GatewayIntentBits.GuildMessages,
  GatewayIntentBits.MessageContent,
];
const client = new Client({ intents, rest: { api: `${process.env.DISCORD_URL}/api` } });

client.once(Events.ClientReady, async () => {
  const guild = client.guilds.cache.first();
  await guild.commands.set([{ name: 'ping', description: 'Answers' }]);
  const channel = guild.channels.cache.find((one) => one.name === 'harbour');
  await channel.send('ready');
  const webhook = await channel.createWebhook({ name: 'Cast' });
  await webhook.send({ content: 'The light holds.', username: 'Maren' });
});

client.on(Events.MessageCreate, async (message) => {
  if (message.author.bot) return;
  if (message.content === 'bye') {
    await client.destroy();
    process.exit(0);
  }
  await message.reply(`heard ${message.content}`);
});

client.on(Events.InteractionCreate, async (interaction) => {
  await interaction.deferReply({ flags: MessageFlags.Ephemeral });
  await interaction.editReply('pong');
});

client.on(Events.Error, (error) => console.error(error));
await client.login(process.env.DISCORD_TOKEN);
