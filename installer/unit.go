package installer

import "fmt"

// unit is orbit.service: no limit and no time-out for starting, since a host without
// network waits for it, and a fifth of a processor at most.
func unit() string {
	return fmt.Sprintf(`[Unit]
Description=Orbit, the agent of Fleet
After=network.target syslog.target
StartLimitIntervalSec=0

[Service]
TimeoutStartSec=0
EnvironmentFile=%s
EnvironmentFile=-%s
ExecStart=/opt/orbit/bin/orbit/orbit
Restart=always
RestartSec=1
KillMode=control-group
KillSignal=SIGTERM
CPUQuota=20%%

[Install]
WantedBy=multi-user.target
`, environmentFile, localFile)
}
