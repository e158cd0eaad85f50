//! Several hosts on one state directory, begun at once: one of them is its host, the others say so and end.

use razar_tests::process::alive;
use razar_tests::wait;

use crate::stage::Stage;

#[test]
fn of_hosts_begun_at_once_one_is_the_host_and_the_others_change_nothing() {
    let stage = Stage::new();
    for round in 0..3 {
        let mut hosts: Vec<_> = (0..4).map(|_| stage.run()).collect();
        let mut refused = Vec::new();
        let one_left = wait::first(|| {
            while let Some(at) = hosts.iter_mut().position(|host| host.has_ended()) {
                refused.push(hosts.swap_remove(at).end());
            }
            (hosts.len() <= 1).then_some(())
        });
        assert!(one_left.is_some() && hosts.len() == 1, "{refused:?}{}", stage.scene.story());
        for refused in refused {
            assert_eq!(refused.code, Some(2), "{refused:?}");
            assert!(refused.out.contains("is in use by another host"), "{refused:?}");
        }
        let host = hosts.remove(0);
        stage.settle();
        if round == 2 {
            stage.finish(host, &Default::default());
            return;
        }
        host.kill();
        assert!(alive(stage.scene.pid("store")));
    }
}
