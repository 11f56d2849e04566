//! Pausing a scene, playing on, ending it, stopping what is being written, and
//! having it shown anew.

use crate::domain::{GuildId, SceneId, SceneState};
use crate::store::{Queued, Work};

use super::{Chat, ChatError};

impl Chat {
    /// Lets nobody answer in a scene until it is resumed. The reply that is being
    /// written ends where it is; jobs that wait go on waiting.
    ///
    /// # Errors
    /// The scene is over, there is none such, or the database fails.
    pub async fn pause_scene(&self, guild: GuildId, scene: SceneId) -> Result<(), ChatError> {
        self.not_over(guild, scene).await?;
        self.store.set_scene_state(guild, scene, SceneState::Paused).await?;
        self.stop_reply(scene);
        Ok(())
    }

    /// Plays a paused scene on.
    ///
    /// # Errors
    /// The scene is over, there is none such, or the database fails.
    pub async fn resume_scene(&self, guild: GuildId, scene: SceneId) -> Result<(), ChatError> {
        self.not_over(guild, scene).await?;
        Ok(self.store.set_scene_state(guild, scene, SceneState::Active).await?)
    }

    /// Ends a scene; it stays readable. A reply in the making is called off.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn end_scene(&self, guild: GuildId, scene: SceneId) -> Result<(), ChatError> {
        self.store.set_scene_state(guild, scene, SceneState::Ended).await?;
        self.call_off(guild, scene).await
    }

    /// Calls off what waits to be written in a scene and ends what is being written:
    /// the text so far stays. Says whether there was anything to stop.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn stop(&self, guild: GuildId, scene: SceneId) -> Result<bool, ChatError> {
        let waiting = self.store.cancel_waiting_jobs(guild, scene).await?;
        if self.stop_reply(scene) {
            return Ok(true);
        }
        // A reply that has no word yet, or that another process writes.
        let begun = self.store.cancel_jobs(guild, scene).await?;
        Ok(waiting + begun > 0)
    }

    /// Asks for what is shown of a scene to be brought in line with what stands.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn ask_show(&self, guild: GuildId, scene: SceneId) -> Result<Queued, ChatError> {
        Ok(self.store.insert_job(guild, scene, None, &Work::Show).await?)
    }

    /// Calls off all that is to be written in a scene; what is being written is lost.
    ///
    /// # Errors
    /// There is no such scene, or the database fails.
    pub async fn call_off(&self, guild: GuildId, scene: SceneId) -> Result<(), ChatError> {
        let writing = self.stopper(scene);
        self.store.cancel_jobs(guild, scene).await?;
        if let Some(stop) = writing {
            stop.send_replace(true);
        }
        Ok(())
    }

    async fn not_over(&self, guild: GuildId, scene: SceneId) -> Result<(), ChatError> {
        match self.scene(guild, scene).await?.state {
            SceneState::Ended => Err(ChatError::refused("this scene is over; begin a new one")),
            SceneState::Active | SceneState::Paused => Ok(()),
        }
    }
}
