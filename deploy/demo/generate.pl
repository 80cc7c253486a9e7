#!/usr/bin/perl
# Writes an nginx access log and an application's JSON log at a steady rate and rotates both by rename, until SIGTERM.
#
#   generate.pl FOLDER LINES_PER_SECOND
#
# Every line has a number, from 0 and the same in both files, so that one can count what arrived. After a restart the numbers
# go on. Perl with nothing beside its base package, which every Debian has.
use strict;
use warnings;
use POSIX qw(strftime);

my $TICKS_PER_SECOND = 10;
my $ROTATE_BYTES = 1 << 20;
my $GENERATIONS = 20;

my @METHODS = qw(GET GET GET POST);
my @PAGES = qw(/ /orders /cart /search /healthz /login);
my @STATUSES = (200, 200, 200, 200, 200, 304, 404, 500);
my @LEVELS = qw(info info info debug warn error);
my @SERVICES = qw(checkout payment catalog mail);

my ($folder, $rate) = @ARGV;
die "usage: generate.pl FOLDER LINES_PER_SECOND\n" unless -d ($folder // '') && ($rate // '') =~ /^[1-9]\d*$/;

sub pick { return $_[int rand @_] }

sub access_line {
    my ($number) = @_;
    my $time = strftime('%d/%b/%Y:%H:%M:%S +0000', gmtime);
    my $client = join '.', 10, map { int rand 256 } 1 .. 3;
    return sprintf qq(%s - - [%s] "%s %s?line=%d HTTP/1.1" %d %d "-" "Mozilla/5.0 (X11; Linux x86_64)"\n),
        $client, $time, pick(@METHODS), pick(@PAGES), $number, pick(@STATUSES), rand 20_000;
}

sub app_line {
    my ($number) = @_;
    my $time = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime);
    my $took = int rand 900;
    return sprintf qq({"time":"%s","level":"%s","service":"%s","line":%d,"duration_ms":%d,"message":"order %d took %d ms"}\n),
        $time, pick(@LEVELS), pick(@SERVICES), $number, $took, rand 100_000, $took;
}

# One more than the greatest number in what an earlier run left.
sub next_number {
    my $next = 0;
    for my $path (glob "$folder/access.log $folder/access.log.1 $folder/app.log $folder/app.log.1") {
        open my $file, '<', $path or next;
        while (<$file>) {
            $next = $1 + 1 if /line"?[=:](\d+)/ && $1 >= $next;
        }
    }
    return $next;
}

sub open_log {
    my ($path) = @_;
    open my $file, '>>', $path or die "$path: $!\n";
    return $file;
}

sub rotate {
    my ($path) = @_;
    for my $age (reverse 1 .. $GENERATIONS - 1) {
        rename "$path.$age", "$path." . ($age + 1) if -e "$path.$age";
    }
    rename $path, "$path.1" or die "$path: $!\n";
}

my @streams = ([\&access_line, "$folder/access.log"], [\&app_line, "$folder/app.log"]);
my $number = next_number();
my $over = 0;
$SIG{TERM} = $SIG{INT} = sub { $over = 1 };
my $due = 0;
until ($over) {
    $due += $rate / $TICKS_PER_SECOND;
    my $count = int $due;
    $due -= $count;
    for my $stream (@streams) {
        my ($line, $path) = @$stream;
        my $file = open_log($path);
        print {$file} map { $line->($number + $_) } 0 .. $count - 1;
        close $file or die "$path: $!\n";
        rotate($path) if -s $path >= $ROTATE_BYTES;
    }
    $number += $count;
    select undef, undef, undef, 1 / $TICKS_PER_SECOND;
}
print "wrote lines up to number ", $number - 1, "\n";
