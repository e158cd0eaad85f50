//! The wall clock jumps: by hours while the host runs, by a year while none does. Nobody is restarted, late or kept
//! waiting for it.

use razar_tests::faults::Faults;

use crate::stage::Stage;

const HOUR: i64 = 3_600;
const YEAR: i64 = 365 * 24 * HOUR;

#[test]
fn a_clock_that_jumps_back_and_forth_changes_nothing_but_what_is_written() {
    let stage = Stage::new();
    let faults = Faults::new(&stage.places);
    let begin = || stage.scene.begin(faults.on(&mut stage.command()));
    let mut host = begin();
    stage.scene.until_booted(1);
    let store = stage.scene.pid("store");
    let load = stage.load(0x7ea5);
    let launched_again = || {
        let before = stage.scene.pids("page").len();
        stage.scene.until("page is launched again", || {
            stage.scene.touch("page.crash");
            stage.scene.pids("page").len() > before
        });
    };
    for (running, between) in [(HOUR, YEAR), (-2 * HOUR, -YEAR), (3 * HOUR, 0), (0, -HOUR)] {
        faults.plan(&format!("clock {running}\n"));
        launched_again();
        host.kill();
        stage.look();
        faults.plan(&format!("clock {between}\n"));
        host = begin();
        launched_again();
    }
    let acknowledged = load.end();
    let story = stage.finish(host, &acknowledged);
    assert_eq!(stage.scene.pids("store"), [store], "never restarted: {story}");
}
