"""A small bot on discord.py, for the double's own test. See README.md."""

import os
import sys

# The script bears the library's name: its own directory must not be searched for it.
sys.path.pop(0)

import discord
import yarl
from discord import app_commands

discord.http.Route.BASE = os.environ["DISCORD_URL"] + "/api/v10"
discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(os.environ["DISCORD_GATEWAY"])

intents = discord.Intents.none()
intents.guilds = True
intents.guild_messages = True
intents.message_content = True


class Bot(discord.Client):
    """Registers its command at the start, and answers whom it hears."""

    def __init__(self):
        super().__init__(intents=intents)
        self.tree = app_commands.CommandTree(self)

    async def on_ready(self):
        guild = self.guilds[0]
        self.tree.copy_global_to(guild=guild)
        await self.tree.sync(guild=guild)
        channel = discord.utils.get(guild.channels, name="harbour")
        await channel.send("ready")
        webhook = await channel.create_webhook(name="Cast")
        await webhook.send("The light holds.", username="Maren", wait=True)

    async def on_message(self, message):
        if message.author.bot:
            return
        if message.content == "bye":
            await self.close()
            return
        await message.reply(f"heard {message.content}")


bot = Bot()


@bot.tree.command(name="ping", description="Answers")
async def ping(interaction: discord.Interaction):
    await interaction.response.defer(ephemeral=True)
    await interaction.edit_original_response(content="pong")


bot.run(os.environ["DISCORD_TOKEN"])
