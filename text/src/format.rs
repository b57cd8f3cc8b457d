//! Formats of strings, as custom resources check them.
//!
//! Follows apiextensions-apiserver/pkg/apiserver/validation/formats.go (which are checked) and
//! kube-openapi/pkg/validation/strfmt (how).

mod codes;
mod mail;
mod net;
mod time;
mod uri;

/// Reports whether a string has the format of that name, without dashes; none has one that is not known.
#[must_use]
pub fn has_format(name: &str, value: &str) -> bool {
    string_check(name).is_some_and(|check| check(value))
}

/// Returns the check of a format of strings, by its name without dashes; none for a format that is not checked.
#[must_use]
pub fn string_check(name: &str) -> Option<fn(&str) -> bool> {
    Some(match name {
        "bsonobjectid" => codes::is_object_id,
        "uri" => uri::is_request_uri,
        "email" => mail::is_email,
        "hostname" => net::is_hostname,
        "ipv4" => net::is_ipv4,
        "ipv6" => net::is_ipv6,
        "cidr" => net::is_cidr,
        "mac" => net::is_mac,
        "uuid" => codes::is_uuid,
        "uuid3" => codes::is_uuid3,
        "uuid4" => codes::is_uuid4,
        "uuid5" => codes::is_uuid5,
        "isbn" => codes::is_isbn,
        "isbn10" => codes::is_isbn10,
        "isbn13" => codes::is_isbn13,
        "creditcard" => codes::is_credit_card,
        "ssn" => codes::is_ssn,
        "hexcolor" => codes::is_hex_color,
        "rgbcolor" => codes::is_rgb_color,
        "byte" => codes::is_base64,
        "password" => |_| true,
        "date" => time::is_date,
        "duration" => time::is_duration,
        "datetime" => time::is_date_time,
        "k8sshortname" => net::is_short_name,
        "k8slongname" => net::is_long_name,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("byte", &["aGk=", "aGkx"], &["", "a", "aGk", "a-k="])]
    #[case("date", &["2024-02-29"], &["2023-02-29", "2024-13-01", "24-01-01", "2024-1-01", ""])]
    #[case(
        "date-time",
        &["2024-01-01T10:00:00Z", "2024-01-01t10:00:00.5+01:00"],
        &["2024-01-01", "2024-01-01T24:00:00Z", "2024-01-01T10:00:00", "x"]
    )]
    #[case("duration", &["1h30m", "5s", "-1.5h", "22 ns", "3 days", "2 weeks", "0"], &["", "1", "x", "h"])]
    #[case("email", &["a@b.c", "A B <a@b>", "\"a b\"@c", "a@[1.2.3.4]", "a@b (c)", "g: a@b;"], &["g:;", "g: a@b, c@d;", "a", "a@", "@b", "a b@c", "a@b@c", ""])]
    #[case(
        "hostname",
        &["a", "example.com", "a-b.example.london", "1.example.com", "bücher.de"],
        &["", "-a", "a_b", "a.b-", "a..b", "example.com."]
    )]
    #[case("ipv4", &["1.2.3.4", "001.2.3.4", "::ffff:1.2.3.4"], &["1.2.3", "256.1.1.1", "::1", ""])]
    #[case("ipv6", &["::1", "fe80::1", "::ffff:1.2.3.4"], &["1.2.3.4", "fe80::1%eth0", ":::"])]
    #[case("cidr", &["10.0.0.0/8", "::/0", "010.0.0.0/8"], &["10.0.0.0", "10.0.0.0/33", "::/129", "/8"])]
    #[case(
        "mac",
        &["00:00:5e:00:53:01", "02-00-5e-10-00-00-00-01", "0000.5e00.5301", "00005e005301"],
        &["00:00:5e:00:53", "00005e0053", "00:00-5e:00:53:01", "x"]
    )]
    #[case(
        "uri",
        &["http://a.b/c?d#e", "/abs", "mailto:a@b", "xyz://foobar.com", "http://[::1]:80/"],
        &["", "a.b", "./rel", "http://a b/", "http://a:port/", "http://[::1", "/%zz", ":a"]
    )]
    #[case("uuid", &["123e4567-e89b-12d3-a456-426614174000", "123E4567E89B12D3A456426614174000"], &["123e4567", ""])]
    #[case("uuid4", &["123e4567-e89b-42d3-a456-426614174000"], &["123e4567-e89b-12d3-a456-426614174000"])]
    #[case("isbn", &["0321751043", "978-0321751041"], &["0321751044", "x"])]
    #[case("creditcard", &["4220 8554 2622 2389"], &["4220855426213389", ""])]
    #[case("ssn", &["123-45-6789"], &["123456789", ""])]
    #[case("hexcolor", &["#fff", "CCccCC"], &["#ff", "#ggg"])]
    #[case("rgbcolor", &["rgb(0, 31,255)"], &["rgb(1,349,275)", "rgb(01,31,255)"])]
    #[case("bsonobjectid", &["507f1f77bcf86cd799439011"], &["507f1f77"])]
    #[case("password", &["", "x"], &[])]
    #[case("k8s-short-name", &["a-1"], &["A", "-a", "a.b"])]
    #[case("k8s-long-name", &["a.b-1"], &["a..b", "A"])]
    fn strings_are_checked_as_kubernetes_checks_them(
        #[case] format: &str,
        #[case] good: &[&str],
        #[case] bad: &[&str],
    ) {
        let check = string_check(&format.replace('-', "")).unwrap();
        for value in good {
            assert!(check(value), "{format} {value:?}");
        }
        for value in bad {
            assert!(!check(value), "{format} {value:?}");
        }
    }
}
