// dockerode can reach docker over ssh, which the agent never does; ssh2 would bring compiled add-ons that no single executable can hold.
module.exports = {}
