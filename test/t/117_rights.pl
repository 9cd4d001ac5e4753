# The rights that a publisher needs in Kafka are taken away and given back, while
# it streams and while it starts: it says which, waits, and goes on by itself.

use strict;
use warnings FATAL => 'all';

use MeshOutbox::Test;
use Test::More;

my $kafka = start_kafka();
my $address = kafka('secure', $kafka);
my %right = (
	topic => [ 'TOPIC', 'sales.orders', 'ALL' ],
	group => [ 'GROUP', '*', 'ALL' ],
	id => [ 'TRANSACTIONAL_ID', '*', 'ALL' ],
	marker => [ 'TOPIC', 'mesh_outbox.markers', 'ALL' ]);
kafka('allow', $kafka, @{ $right{$_} }) foreach sort keys %right;

my $password = "$kafka->{dir}/password";
open(my $file, '>', $password) or die $!;
print $file 'pass-word';
close($file);
chmod 0600, $password;

my $node = new_node('main');
create_publisher($node, $address, options => qq({"security.protocol": "sasl_plaintext", "sasl.mechanisms": "PLAIN",
	"sasl.username": "clerk", "sasl.password": {"file": "$password"}}));
simple_outbox($node);
my @emitted = ('first');
emit($node, first => 1);
ok(wait_published($node), 'published');
ok(until_true('the ledger', sub { $node->safe_psql('postgres', 'SELECT count(*) FROM mesh_outbox.batches') }),
	'the ledger has recorded where the topic ends');

sub without
{
	my ($what, $when, $meet) = @_;
	kafka('revoke', $kafka, @{ $right{$what} });
	$meet->();
	push @emitted, "$what $when";
	emit($node, "$what $when" => 1);
	ok(until_true('a word about it', sub { (status($node)->{last_error} // '') =~ /authorization failed/ }),
		"no right to the $what $when: it says so");
	kafka('allow', $kafka, @{ $right{$what} });
	ok(wait_state($node, 'streaming'), 'goes on by itself');
	ok(wait_published($node), 'and publishes');
	return;
}

foreach my $what (sort keys %right)
{
	without($what, 'in mid-stream', sub { });
	without($what, 'at the start', sub { $node->restart });
}
is_deeply([ sort(values_of(consume($kafka, 'sales.orders'))) ], [ sort @emitted ], 'everything once');

done_testing();
