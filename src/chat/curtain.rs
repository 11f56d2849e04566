//! Pausing a scene, playing on, ending it, stopping what is being written, and
//! having it shown anew.

use std::time::{Duration, Instant};

use tokio::time::sleep;

use crate::domain::{GuildId, SceneId, SceneState};
use crate::store::{Job, JobState, Queued, Work};

use super::moderation::FROZEN;
use super::{Chat, ChatError};

/// How long another process has to end what it writes: a step of the engine, and the
/// way there. Then it is called off, words and all.
const STOPPED_WITHIN: Duration = Duration::from_secs(1);
/// How often it is looked whether it has.
const LOOK_AGAIN: Duration = Duration::from_millis(50);

impl Chat {
    /// Lets nobody answer in a scene until it is resumed. The reply that is being
    /// written ends where it is; jobs that wait go on waiting.
    ///
    /// # Errors
    /// The scene is over, there is none such, or the database fails.
    pub async fn pause_scene(&self, guild: GuildId, scene: SceneId) -> Result<(), ChatError> {
        self.not_over(guild, scene).await?;
        self.store.set_scene_state(guild, scene, SceneState::Paused).await?;
        if !self.stop_reply(scene) {
            self.store.ask_stop(guild, scene).await?;
        }
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
        // Whoever writes it elsewhere keeps the words so far, if they hear us.
        if self.store.ask_stop(guild, scene).await? && self.is_stopped_soon(guild, scene).await? {
            return Ok(true);
        }
        // A reply that has no word yet, or whose process does not hear.
        let begun = self.store.cancel_jobs(guild, scene).await?;
        Ok(waiting + begun > 0)
    }

    /// Whether something was being written in a scene that comes to its end within a
    /// moment.
    async fn is_stopped_soon(&self, guild: GuildId, scene: SceneId) -> Result<bool, ChatError> {
        let began = Instant::now();
        let mut was_written = false;
        while began.elapsed() < STOPPED_WITHIN {
            let open = self.store.list_open_jobs(guild, scene).await?;
            let is_written = |job: &Job| job.state == JobState::Claimed && job.work != Work::Show;
            if !open.iter().any(is_written) {
                return Ok(was_written);
            }
            was_written = true;
            sleep(LOOK_AGAIN).await;
        }
        Ok(false)
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
            SceneState::Frozen => Err(ChatError::refused(FROZEN)),
            SceneState::Active | SceneState::Paused => Ok(()),
        }
    }
}
