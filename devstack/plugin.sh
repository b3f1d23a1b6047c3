# SPDX-License-Identifier: Apache-2.0
#
# DevStack plug-in: installs hvfilter beside Nova, enables the filter, creates
# the trait names and publishes this host.

HVFILTER_DIR=$DEST/hvfilter

function configure_hvfilter {
    local filters
    filters=$(iniget $NOVA_CONF filter_scheduler enabled_filters)
    if [[ -z $filters ]]; then
        filters=ComputeFilter,ComputeCapabilitiesFilter,ImagePropertiesFilter
        filters+=,ServerGroupAntiAffinityFilter,ServerGroupAffinityFilter
    fi
    if [[ ,$filters, != *,HardwareVirtFilter,* ]]; then
        filters+=,HardwareVirtFilter
    fi
    inidelete $NOVA_CONF filter_scheduler available_filters
    iniadd $NOVA_CONF filter_scheduler available_filters \
        nova.scheduler.filters.all_filters hvfilter.scheduler.all_filters
    iniset $NOVA_CONF filter_scheduler enabled_filters "$filters"
    iniset $NOVA_CONF hvfilter mode "$HVFILTER_MODE"
    iniset $NOVA_CONF hvfilter required "$HVFILTER_REQUIRED"
}

if [[ "$1" == "stack" && "$2" == "install" ]]; then
    setup_develop $HVFILTER_DIR
elif [[ "$1" == "stack" && "$2" == "post-config" ]]; then
    if is_service_enabled n-sch; then
        configure_hvfilter
    fi
elif [[ "$1" == "stack" && "$2" == "extra" ]]; then
    if is_service_enabled n-cpu; then
        hvfilter prepare --config-file $NOVA_CPU_CONF
        # 75: what could not be determined stays as it is.
        hvfilter publish --config-file $NOVA_CPU_CONF || [[ $? -eq 75 ]]
    fi
elif [[ "$1" == "unstack" ]]; then
    :
elif [[ "$1" == "clean" ]]; then
    rm -rf $HVFILTER_DIR/hvfilter.egg-info
fi
