//! One case and its neighbors for every special range.

use std::net::IpAddr;

use super::super::address::{AddressClass as C, address_is_public, canonical};

const TABLE: &[(&str, C)] = &[
    ("0.0.0.0", C::Unspecified),
    ("0.1.2.3", C::Unspecified),
    ("1.1.1.1", C::Public),
    ("8.8.8.8", C::Public),
    ("9.255.255.255", C::Public),
    ("10.0.0.0", C::Private),
    ("10.255.255.255", C::Private),
    ("11.0.0.0", C::Public),
    ("100.63.255.255", C::Public),
    ("100.64.0.0", C::Shared),
    ("100.127.255.255", C::Shared),
    ("100.128.0.0", C::Public),
    ("100.100.100.200", C::Metadata),
    ("127.0.0.1", C::Loopback),
    ("127.255.255.254", C::Loopback),
    ("128.0.0.0", C::Public),
    ("168.63.129.16", C::Metadata),
    ("169.253.255.255", C::Public),
    ("169.254.0.1", C::LinkLocal),
    ("169.254.169.254", C::Metadata),
    ("169.254.170.2", C::Metadata),
    ("169.255.0.0", C::Public),
    ("172.15.255.255", C::Public),
    ("172.16.0.0", C::Private),
    ("172.31.255.255", C::Private),
    ("172.32.0.0", C::Public),
    ("192.0.0.1", C::Reserved),
    ("192.0.0.192", C::Metadata),
    ("192.0.1.1", C::Public),
    ("192.0.2.1", C::Documentation),
    ("192.31.196.1", C::Reserved),
    ("192.52.193.1", C::Reserved),
    ("192.88.99.1", C::Tunnel),
    ("192.168.0.1", C::Private),
    ("192.169.0.1", C::Public),
    ("192.175.48.1", C::Reserved),
    ("198.17.255.255", C::Public),
    ("198.18.0.0", C::Benchmarking),
    ("198.19.255.255", C::Benchmarking),
    ("198.51.100.7", C::Documentation),
    ("203.0.113.7", C::Documentation),
    ("223.255.255.255", C::Public),
    ("224.0.0.1", C::Multicast),
    ("233.252.0.1", C::Documentation),
    ("239.255.255.255", C::Multicast),
    ("240.0.0.1", C::Reserved),
    ("255.255.255.255", C::Broadcast),
    ("::", C::Unspecified),
    ("::1", C::Loopback),
    ("::2", C::Unspecified),
    ("::7f00:1", C::Loopback),
    ("::ffff:127.0.0.1", C::Loopback),
    ("::ffff:8.8.8.8", C::Public),
    ("::ffff:169.254.169.254", C::Metadata),
    ("::ffff:0:10.0.0.1", C::Private),
    ("64:ff9b::8.8.8.8", C::Public),
    ("64:ff9b::10.0.0.1", C::Private),
    ("64:ff9b::169.254.169.254", C::Metadata),
    ("64:ff9b:1::1", C::Tunnel),
    ("100::1", C::Reserved),
    ("2001::1", C::Tunnel),
    ("2001:2::1", C::Benchmarking),
    ("2001:10::1", C::Reserved),
    ("2001:20::1", C::Reserved),
    ("2001:db8::1", C::Documentation),
    ("2001:4860:4860::8888", C::Public),
    ("2002:7f00:1::", C::Tunnel),
    ("2606:4700::1111", C::Public),
    ("3fff::1", C::Documentation),
    ("3fff:1000::1", C::Public),
    ("4000::1", C::Reserved),
    ("5f00::1", C::Reserved),
    ("fc00::1", C::Private),
    ("fd00:ec2::254", C::Metadata),
    ("fd00:ec2::253", C::Metadata),
    ("fd20:ce::254", C::Metadata),
    ("fdff:ffff::1", C::Private),
    ("fe80::1", C::LinkLocal),
    ("febf::1", C::LinkLocal),
    ("fec0::1", C::Private),
    ("ff02::1", C::Multicast),
];

#[test]
fn every_special_range_has_its_class() {
    for (text, class) in TABLE {
        let address: IpAddr = text.parse().unwrap();
        assert_eq!(C::of(address), *class, "{text}");
        assert_eq!(address_is_public(address), *class == C::Public, "{text}");
    }
}

#[test]
fn a_name_of_a_component_never_leads_to_metadata() {
    for (text, class) in TABLE {
        let strange = matches!(class, C::Metadata | C::LinkLocal | C::Multicast | C::Unspecified | C::Tunnel);
        assert!(!(strange && class.is_for_components()), "{text}");
    }
}

proptest::proptest! {
    #[test]
    fn hiding_an_address_changes_nothing(v4: u32) {
        let plain = std::net::Ipv4Addr::from(v4);
        let mapped = IpAddr::V6(plain.to_ipv6_mapped());
        assert_eq!(canonical(mapped), IpAddr::V4(plain));
        assert_eq!(C::of(mapped), C::of(IpAddr::V4(plain)));
        let [a, b, c, d] = plain.octets().map(u16::from);
        let nat64 = std::net::Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, a << 8 | b, c << 8 | d);
        assert_eq!(C::of(nat64.into()), C::of(plain.into()));
    }

    #[test]
    fn canonical_is_a_fixed_point(v6: u128) {
        let once = canonical(IpAddr::V6(v6.into()));
        assert_eq!(canonical(once), once);
    }
}
