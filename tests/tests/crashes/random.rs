//! Killed at moments nobody chose: the host, the launcher, or both.

use std::time::Duration;

use razar_tests::process::kill;

use crate::load::random;
use crate::long;
use crate::stage::Stage;

#[test]
fn whoever_is_killed_at_any_moment_nothing_is_lost_or_doubled() {
    let (kills, mut seed) = (if long() { 120 } else { 12 }, 0x2545_f491_4f6c_dd1d_u64);
    let stage = Stage::new();
    let mut host = stage.run();
    stage.scene.until_booted(1);
    let load = stage.load(0x00c0_ffee);
    for _ in 0..kills {
        let whom = random(&mut seed) % 3;
        // Not a wait for something: the moment is what is tried.
        std::thread::sleep(Duration::from_millis(random(&mut seed) % 700));
        if whom != 0
            && let Some(launcher) = stage.scene.launcher()
        {
            kill(launcher);
        }
        if whom != 1 {
            host.kill();
            stage.look();
            host = stage.run();
        }
    }
    let acknowledged = load.end();
    let story = stage.finish(host, &acknowledged);
    eprintln!("{kills} kills at random: {story}, confirmed {acknowledged:?}");
}
