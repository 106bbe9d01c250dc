//! Dates as the store keeps them and as the API writes them.

use std::{fmt, time::Duration};

use chrono::{DateTime, Datelike, NaiveDateTime, Timelike, Utc};

/// A moment, in whole milliseconds since 1970 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

/// The API's way of writing dates: `Aug 20, 2015 5:46:16 PM`, in UTC.
const FORMAT: &str = "%b %-d, %Y %-I:%M:%S %p";

impl Timestamp {
    /// This moment.
    pub fn now() -> Self {
        Self(Utc::now().timestamp_millis())
    }

    /// The moment that many milliseconds after the start of 1970.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the start of 1970.
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// When the second began in which the moment lies.
    #[must_use]
    pub const fn start_of_second(self) -> Self {
        Self(self.0.saturating_sub(self.0.rem_euclid(1000)))
    }

    /// The moment `duration` later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)))
    }

    /// Reads the API's form, or milliseconds.
    pub fn parse(text: &str) -> Option<Self> {
        if let Ok(millis) = text.parse() {
            return Some(Self(millis));
        }
        [FORMAT, "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S"]
            .iter()
            .find_map(|format| NaiveDateTime::parse_from_str(text, format).ok())
            .map(|date| Self(date.and_utc().timestamp_millis()))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
        // A page of inventories holds hundreds of dates, and chrono reads a format anew for each.
        let date = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        let (afternoon, hour) = date.hour12();
        let month = MONTHS[date.month0() as usize];
        let half = if afternoon { "PM" } else { "AM" };
        write!(f, "{month} {}, {:04} {hour}:{:02}:{:02} {half}", date.day(), date.year(), date.minute(), date.second())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_written_as_clients_expect_and_read_back() {
        let date = Timestamp::from_millis(1_440_092_776_000);
        assert_eq!(date.to_string(), "Aug 20, 2015 5:46:16 PM");
        assert_eq!(Timestamp::parse("Aug 20, 2015 5:46:16 PM"), Some(date));
        assert_eq!(Timestamp::parse("1440092776000"), Some(date));
        assert_eq!(Timestamp::parse("yesterday"), None);
    }

    #[test]
    fn dates_are_written_as_chrono_would_write_them() {
        for millis in
            [0, -1, 951_782_400_000, 1_735_689_599_999, 1_440_072_000_000, 1_440_028_800_000, -62_135_596_800_000]
        {
            let date = DateTime::<Utc>::from_timestamp_millis(millis).unwrap();
            assert_eq!(Timestamp::from_millis(millis).to_string(), date.format(FORMAT).to_string());
        }
        assert_eq!(Timestamp::from_millis(-1).start_of_second(), Timestamp::from_millis(-1000));
        assert_eq!(Timestamp::from_millis(i64::MIN).start_of_second().millis(), i64::MIN);
    }
}
