//! The chapters of the published reference.

use super::Admits;

/// A chapter: what its operations are about.
#[derive(Debug, PartialEq, Eq)]
pub struct Chapter {
    /// Its number, with which those of its sections begin.
    pub number: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Whom its operations admit that do not say it themselves. Queries admit whoever sees some of what they are about.
    pub admits: Admits,
}

macro_rules! chapters {
    ($($number:literal $title:literal, $admits:ident;)*) => {
        /// Every chapter that has operations, in the reference's order.
        pub const CHAPTERS: &[Chapter] = &[$(Chapter { number: $number, title: $title, admits: Admits::$admits }),*];
    };
}

chapters! {
    "3.1" "VM instances", Accounts;
    "3.2" "Volumes", Accounts;
    "3.3" "Images", Accounts;
    "3.4" "Affinity groups", Accounts;
    "3.5" "Instance offerings", Readers;
    "3.6" "Disk offerings", Readers;
    "4.1" "Zones", Operator;
    "4.2" "Clusters", Operator;
    "4.3" "Hosts", Operator;
    "4.3.11" "PCI devices", Operator;
    "4.3.12" "USB redirection", Operator;
    "4.3.13" "USB devices", Operator;
    "4.4" "Primary storages", Operator;
    "4.4.15" "Local storage", Operator;
    "4.4.16" "NFS", Operator;
    "4.4.17" "Shared mount point", Operator;
    "4.4.18" "Ceph primary storage", Operator;
    "4.4.19" "Shared block", Operator;
    "4.5" "Backup storages", Operator;
    "4.5.14" "Image store", Operator;
    "4.5.15" "Ceph backup storage", Operator;
    "4.6" "iSCSI servers", Operator;
    "5.1" "L2 networks", Operator;
    "5.2" "L3 networks", Readers;
    "5.3" "Virtual routers", Operator;
    "5.3.8" "Virtual router route tables", Operator;
    "5.4" "VPC routers", Operator;
    "6.1" "Network services", Readers;
    "6.1.6" "Security groups", Accounts;
    "6.1.7" "Virtual IPs", Accounts;
    "6.1.8" "Elastic IPs", Accounts;
    "6.1.9" "Port forwarding", Accounts;
    "6.1.10" "Load balancers", Accounts;
    "6.1.11" "IPsec connections", Operator;
    "7.1" "vCenters", Operator;
    "8.1.1" "Monitoring and alarms", Operator;
    "8.1.2" "Notification service", Operator;
    "8.2" "Resource stacks", Accounts;
    "9.1" "Accounts and users", Operator;
    "9.2" "Billing", Operator;
    "9.3" "Schedulers", Accounts;
    "9.4" "LDAP", Operator;
    "9.5" "Consoles", Accounts;
    "10.1" "Global configuration", Operator;
    "11.1" "Management nodes", Operator;
    "11.2" "Tags", Accounts;
    "11.3" "Task progress", Accounts;
    "11.4" "Notifications", Operator;
    "11.5" "Capacity", Operator;
    "11.6" "Garbage collection jobs", Operator;
    "11.7" "License", Operator;
    "11.8" "Long jobs", Accounts;
    "12" "Backups", Operator;
    "13" "Bare metal", Operator;
}

/// The chapter that a section such as `4.3.11.2` belongs to: the one with the longest matching number.
pub fn chapter_of(section: &str) -> Option<&'static Chapter> {
    let begins = |chapter: &&Chapter| section.strip_prefix(chapter.number).is_some_and(|rest| rest.starts_with('.'));
    CHAPTERS.iter().filter(begins).max_by_key(|chapter| chapter.number.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_belongs_to_the_narrowest_chapter() {
        let title = |section| chapter_of(section).map(|chapter| chapter.title);
        assert_eq!(title("4.3.1"), Some("Hosts"));
        assert_eq!(title("4.3.11.14"), Some("PCI devices"));
        assert_eq!(title("6.1.1"), Some("Network services"));
        assert_eq!((title("12.3"), title("2.1")), (Some("Backups"), None));
    }
}
