//! The chapters of the published reference.

/// A chapter: what its operations are about.
#[derive(Debug, PartialEq, Eq)]
pub struct Chapter {
    /// Its number, with which those of its sections begin.
    pub number: &'static str,
    /// Its title.
    pub title: &'static str,
}

macro_rules! chapters {
    ($($number:literal $title:literal;)*) => {
        /// Every chapter that has operations, in the reference's order.
        pub const CHAPTERS: &[Chapter] = &[$(Chapter { number: $number, title: $title }),*];
    };
}

chapters! {
    "3.1" "VM instances";
    "3.2" "Volumes";
    "3.3" "Images";
    "3.4" "Affinity groups";
    "3.5" "Instance offerings";
    "3.6" "Disk offerings";
    "4.1" "Zones";
    "4.2" "Clusters";
    "4.3" "Hosts";
    "4.3.11" "PCI devices";
    "4.3.12" "USB redirection";
    "4.3.13" "USB devices";
    "4.4" "Primary storages";
    "4.4.15" "Local storage";
    "4.4.16" "NFS";
    "4.4.17" "Shared mount point";
    "4.4.18" "Ceph primary storage";
    "4.4.19" "Shared block";
    "4.5" "Backup storages";
    "4.5.14" "Image store";
    "4.5.15" "Ceph backup storage";
    "4.6" "iSCSI servers";
    "5.1" "L2 networks";
    "5.2" "L3 networks";
    "5.3" "Virtual routers";
    "5.3.8" "Virtual router route tables";
    "5.4" "VPC routers";
    "6.1" "Network services";
    "6.1.6" "Security groups";
    "6.1.7" "Virtual IPs";
    "6.1.8" "Elastic IPs";
    "6.1.9" "Port forwarding";
    "6.1.10" "Load balancers";
    "6.1.11" "IPsec connections";
    "7.1" "vCenters";
    "8.1.1" "Monitoring and alarms";
    "8.1.2" "Notification service";
    "8.2" "Resource stacks";
    "9.1" "Accounts and users";
    "9.2" "Billing";
    "9.3" "Schedulers";
    "9.4" "LDAP";
    "9.5" "Consoles";
    "10.1" "Global configuration";
    "11.1" "Management nodes";
    "11.2" "Tags";
    "11.3" "Task progress";
    "11.4" "Notifications";
    "11.5" "Capacity";
    "11.6" "Garbage collection jobs";
    "11.7" "License";
    "11.8" "Long jobs";
    "12" "Backups";
    "13" "Bare metal";
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
