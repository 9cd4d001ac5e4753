# The clock is set back by an hour while the publisher waits to try again: it
# does not wait an hour longer.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use PostgreSQL::Test::Utils;
use Test::More;

# What the server takes for the time; librdkafka and Kafka keep the true one.
my $dir = PostgreSQL::Test::Utils::tempdir();
sub set_clock { append_to_file("$dir/clock.new", $_[0]); rename("$dir/clock.new", "$dir/clock") or die $!; return; }
append_to_file("$dir/clock.c", <<"C");
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <fcntl.h>
#include <unistd.h>
int gettimeofday(struct timeval *restrict tv, void *restrict tz)
{
	struct timespec now;
	char text[32] = "";
	int fd = open("$dir/clock", O_RDONLY);

	if (fd >= 0)
	{
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = 0;
		close(fd);
	}
	clock_gettime(CLOCK_REALTIME, &now);
	tv->tv_sec = now.tv_sec + atol(text);
	tv->tv_usec = now.tv_nsec / 1000;
	return 0;
}
C
ok(system_log('gcc', '-shared', '-fPIC', '-o', "$dir/clock.so", "$dir/clock.c") == 0, 'a clock that can be set');

my $kafka = start_kafka();
my $node = new_node('main');
{
	local $ENV{LD_PRELOAD} = "$dir/clock.so";
	$node->restart;
}
create_publisher($node, $kafka);
simple_outbox($node);
emit($node, first => 1);
ok(wait_published($node), 'published');

note 'while it waits for a topic';
my $log = -s $node->logfile;
extra_outbox($node, 'sales.odd', 'sales.odd', topic_config => '{"no.such.setting": 1}');
$node->safe_psql('postgres', emit_sql('odd', 1, 'sales.odd'));
ok(wait_state($node, 'waiting for topic'), 'waits');
set_clock(-3600);
kafka('create', $kafka, 'sales.odd', 3);
ok(until_true('the event', sub { scalar(consume_now($kafka, 'sales.odd')) }), 'goes on when the topic is there');

done_testing();
