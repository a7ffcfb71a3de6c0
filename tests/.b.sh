timeout 10 build/fixtures/rules.pure | grep -v '^ok' | tail -8
timeout 5 build/fixtures/act tcp ign bad closed | tail -3; echo $?
timeout 10 strace -f build/fixtures/act tcp ign bad closed 2>&1 | tail -5
faketime '2001-01-01' date; LD_PRELOAD=/usr/lib/i386-linux-gnu/faketime/libfaketime.so.1 FAKETIME='@2001-01-01 00:00:00' date; LD_PRELOAD="/usr/lib/i386-linux-gnu/faketime/libfaketime.so.1 $BUILD/libpipeguard.so" FAKETIME='@2001-01-01 00:00:00' date
sed -n 75,95p tests/living.bats
