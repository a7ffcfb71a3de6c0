timeout 5 strace -f build/fixtures/act pipe ign bad closed 2>&1 | tail -12
cd /tmp; cat > br.c <<'E'
#include <stdio.h>
#include <unistd.h>
#include <signal.h>
int main(void){ int p[2]; signal(SIGPIPE, SIG_IGN); pipe(p); close(p[0]); puts("a line"); fflush(stdout); if(write(p[1],"x",1)<0) perror("breaker"); return 3;}
E
gcc -g -o br br.c; PIPEGUARD_SIGPIPE=suppress LD_PRELOAD=$BUILD/libpipeguard.so valgrind -q --error-exitcode=99 ./br 2>&1 | grep -v "unknown 'how'" | head -40; echo; 
