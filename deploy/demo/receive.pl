#!/usr/bin/perl
# Shows what Alertmanager sends: each notification is a line per alert on stdout, and a GET of any path answers with the
# latest. Keeps nothing. Perl with nothing beside its base package, which every Debian has.
#
#   receive.pl PORT
use strict;
use warnings;
use IO::Socket::INET;
use POSIX qw(strftime);

my $LINES_KEPT = 200;
my $HEAD_BYTES_MAX = 16 << 10;
my $BODY_BYTES_MAX = 4 << 20;
my $REQUEST_SECONDS_MAX = 5;

my ($port) = @ARGV;
die "usage: receive.pl PORT\n" unless ($port // '') =~ /^[1-9]\d*$/;

# JSON as far as Alertmanager's notifications have it: texts, and flat objects of texts.
my $TEXT = qr/"(?:[^"\\]|\\.)*"/;
my $MAP = qr/\{(?:$TEXT:$TEXT,?)*\}/;
my $ALERT = qr/\{"status":"(\w+)","labels":($MAP),"annotations":($MAP)/;

sub map_of {
    my ($json) = @_;
    my %map;
    while ($json =~ /($TEXT):($TEXT)/g) {
        my ($key, $value) = map { substr $_, 1, -1 } $1, $2;
        $value =~ s/\\(.)/$1 eq 'n' ? ' ' : $1/ge;
        $map{$key} = $value;
    }
    return %map;
}

# A line per alert.
sub lines_of {
    my ($body) = @_;
    my @lines;
    while ($body =~ /$ALERT/g) {
        my ($status, $labels, $annotations) = ($1, $2, $3);
        my %labels = map_of($labels);
        my %annotations = map_of($annotations);
        my $time = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime);
        my ($name, $severity) = map { $labels{$_} // '?' } qw(alertname severity);
        push @lines, join(' ', $time, uc $status, $severity, $name . ':', $annotations{summary} // $labels) . "\n";
    }
    return @lines;
}

# Method and body; nothing if what came is no request that one could answer.
sub request {
    my ($client) = @_;
    my $head = '';
    while (my $line = <$client>) {
        last if $line =~ /^\r?\n$/;
        $head .= $line;
        return if length $head > $HEAD_BYTES_MAX;
    }
    my ($method) = $head =~ /^([A-Z]+) / or return;
    my ($length) = $head =~ /^content-length:\s*(\d+)/mi;
    return if ($length //= 0) > $BODY_BYTES_MAX;
    my $body = '';
    while (length $body < $length) {
        read $client, $body, $length - length $body, length $body or return;
    }
    return ($method, $body);
}

sub answer {
    my ($client, $text) = @_;
    print {$client} "HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ", length $text,
        "\r\nConnection: close\r\n\r\n", $text;
}

$| = 1;
my $server = IO::Socket::INET->new(LocalPort => $port, Listen => 16, ReuseAddr => 1) or die "port $port: $@\n";
$SIG{TERM} = $SIG{INT} = sub { exit 0 };
$SIG{PIPE} = 'IGNORE';
my @latest;
while (1) {
    my $client = $server->accept or next;
    eval {
        local $SIG{ALRM} = sub { die "too slow\n" };
        alarm $REQUEST_SECONDS_MAX;
        if (my ($method, $body) = request($client)) {
            my @lines = $method eq 'POST' ? lines_of($body) : ();
            print @lines;
            push @latest, @lines;
            splice @latest, 0, @latest - $LINES_KEPT if @latest > $LINES_KEPT;
            answer($client, $method eq 'POST' ? '' : join('', reverse @latest) || "no alert was sent yet\n");
        }
    };
    alarm 0;
    close $client;
}
